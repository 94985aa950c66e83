"""What a green gate will count for, which is known before it begins: a rollout needs the very same env set."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uniassist.release.env.check import check_env
from uniassist.release.env.environment import Environment, EnvSet
from uniassist.release.records.records import Records
from uniassist.release.report.checklist import CheckFailed

_NAMED = 4
_UNSET = ": required, but not set"


@dataclass(frozen=True)
class Counting:
    """What green is good for.

    counts: for a rollout.
    said: in a sentence.
    env_file: the one that a rollout's gate needs, where it is known.
    """

    counts: bool
    said: str
    env_file: str | None = None


def counting(environment: Environment, records: Records, commit: str | None) -> Counting:
    """`commit` None: of no commit. StartError when the records can't be read."""
    if commit is None:
        return Counting(False, "counts for no release: it is of no commit")
    ready = records.of_commit(commit).get("preflight", {})
    seen = ready.get("envFile")
    if ready and ready.get("envDigest") != environment.env_digest:
        return Counting(False, f"counts for no rollout: {differing('preflight', ready, environment.env_set)}", seen)
    try:
        check_env(environment.values, environment.name, is_file=environment.file is not None)
    except CheckFailed as error:
        named = _wrong(str(error).splitlines())
        add = "correct them" if environment.file else "add --env-file FILE, the file that the rollout gets"
        return Counting(False, f"counts for no rollout, since this is no env set to release ({named}): {add}")
    return Counting(True, f"counts for a rollout with the same env set, {origin(environment.env_set)}")


def _wrong(lines: list[str]) -> str:
    """What is wrong with an env set, in brief: names of all that isn't set, the first of what else there is."""
    unset = [line.partition(":")[0] for line in lines if line.endswith(_UNSET)]
    others = [line for line in lines if not line.endswith(_UNSET)]
    more = f"; and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return "; ".join([*([f"without {', '.join(unset)}"] if unset else []), *others[:_NAMED]]) + more


def origin(env: EnvSet) -> str:
    """Which env set it is, by where it came from."""
    return f"{env.file or 'the variables of this shell'} ({env.digest[:8]})"


def differing(what: str, known: Mapping[str, Any], env: EnvSet) -> str:
    """Why an env set isn't that of a recorded `what`, and which of the two to mend."""
    made_with = known.get("envFile")
    said = made_with or "variables of a shell"
    if env.file is None:
        return f"you gave no --env-file; the {what} was made with {said}"
    if made_with == env.file:
        return f"{env.file} was changed since the {what}"
    return f"you gave {env.file}; the {what} was made with {said}"


def with_file(command: str, env_file: str | None) -> str:
    """The command as it is to be copied."""
    return f"{command} --env-file {shlex.quote(env_file)}" if env_file else command
