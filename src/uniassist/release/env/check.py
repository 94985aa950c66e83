"""An environment against the table of variables: everything that is wrong with it, at once, without its values."""

from __future__ import annotations

from collections.abc import Mapping

from uniassist.errors import SettingsError
from uniassist.release.env.services import PROVIDERS, known, services_of
from uniassist.release.report.checklist import CheckFailed
from uniassist.settings import Reader, is_placeholder, secret_files
from uniassist.settings.known_services import PROVIDER
from uniassist.settings.variable import Variable
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX, VARIABLES, variable_named

_PREFIXES = ("UNIASSIST_", "OUTBOX_", "STREAM_CONSUMER_", "WECHAT_", "STAGING_", "WORKER_DRILL_")


def check_env(values: Mapping[str, str], environment: str, *, is_file: bool) -> str:
    """`is_file`: every line is ours, so that placeholders of unknown variables count, too."""
    if values.get("UNIASSIST_ENV") != environment:
        found = values.get("UNIASSIST_ENV") or "nothing"
        raise CheckFailed(f"UNIASSIST_ENV: expected {environment}, got {found}")
    unreadable, values = secret_files.problems(values), secret_files.with_files_read(values)
    wrong = [unreadable[name] for name in unreadable if name not in VARIABLES]
    wrong += [
        problem
        for variable in VARIABLES.values()
        if (problem := unreadable.get(variable.name) or _problem(variable, values))
    ]
    wrong += _wrong_providers(values)
    if is_file:
        unknown = (name for name in values if name not in VARIABLES)
        wrong += [f"{name}: still a placeholder" for name in unknown if is_placeholder(values[name])]
    if wrong:
        raise CheckFailed("\n".join(wrong))
    required = sum(variable.need == "required" for variable in VARIABLES.values())
    doubtful = sorted(name for name in values if name.startswith(_PREFIXES) and not _is_known(name))
    note = f"; unknown to this release: {', '.join(doubtful)}" if doubtful else ""
    return f"all {required} required variables are set, no placeholder is left{note}"


def _is_known(name: str) -> bool:
    if name in VARIABLES or name.startswith(PROVIDER_TOKEN_PREFIX):
        return True
    try:
        variable_named(name)
    except KeyError:
        return False
    return True


def _wrong_providers(values: Mapping[str, str]) -> list[str]:
    """Ours that are released beside the four have to be called as well."""
    try:
        released = [known(each) for each in services_of(values)]
    except SettingsError as error:
        return [str(error)]
    return [
        f"{each.base_url_variable}: required where {each.name.removeprefix(PROVIDER)} is released ({PROVIDERS})"
        for each in released
        if not each.is_of_every_release
        and each.base_url_variable in VARIABLES
        and not values.get(each.base_url_variable, "").strip()
    ]


def _problem(variable: Variable, values: Mapping[str, str]) -> str | None:
    name = variable.name
    if not values.get(name, "").strip():
        return f"{name}: required, but not set" if variable.need == "required" else None
    reader = Reader(values)
    try:
        if name == "DATABASE_URL":
            reader.database_url()
        elif name == "REDIS_URL":
            reader.redis_url()
        elif variable.kind == "url":
            reader.optional_http_url(name)
        elif variable.kind == "integer":
            reader.optional_integer(name)
        elif variable.kind == "boolean":
            reader.optional_boolean(name)
        elif variable.kind == "choice":
            reader.choice(name)
        elif variable.secret:
            reader.optional_secret(name)
        else:
            reader.optional(name)
    except SettingsError as error:
        return str(error)
    return None
