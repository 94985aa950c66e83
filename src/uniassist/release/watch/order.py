"""What a watch is told by its options and the environment: the same for the command and for its process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from uniassist.errors import SettingsError
from uniassist.release.checks.conformance.provider.asking import Subject
from uniassist.release.checks.conformance.targets import Targets
from uniassist.release.checks.system import System
from uniassist.release.checks.verify_subject import VerifySubject
from uniassist.release.env.environment import Environment
from uniassist.release.env.services import ROLLOUT_ORDER, all_urls, known
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import env_of, verify_env_of
from uniassist.release.revision import git
from uniassist.release.subprocesses import uniassist
from uniassist.release.watch.by_url import Checks
from uniassist.release.watch.triggers import thresholds
from uniassist.release.watch.triggers.samples import Cadence
from uniassist.release.watch.triggers.thresholds import Threshold
from uniassist.settings.variables import PLAN_TOKEN

OnTrigger = Literal["rollback", "hold"]
_UNITS = {"s": 1, "m": 60, "h": 3600}
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 24 * 3600.0


@dataclass(frozen=True)
class WatchOptions:
    """As given on the command line.

    home: the directory of the records.
    duration: such as 15m.
    rolled_out_at: ISO 8601.
    driver, driver_file: the rollback's.
    """

    environment: str
    env_file: Path | None
    home: Path
    revision: str | None
    duration: str
    on_trigger: str
    thresholds: Path | None
    rolled_out_at: str | None
    driver: str = "local"
    driver_file: Path | None = None

    def arguments(self) -> list[str]:
        """For the process: the same again, with paths that don't depend on where it runs."""
        given = {
            "--env": self.environment,
            "--env-file": self.env_file and self.env_file.absolute(),
            "--state-dir": self.home,
            "--rev": self.revision,
            "--for": self.duration,
            "--on-trigger": self.on_trigger,
            "--thresholds": self.thresholds and self.thresholds.absolute(),
            "--rolled-out-at": self.rolled_out_at,
            "--driver": self.driver,
            "--driver-file": self.driver_file and self.driver_file.absolute(),
        }
        return [part for name, value in given.items() if value is not None for part in (name, str(value))]


@dataclass(frozen=True)
class WatchOrder:
    """What to watch, for how long, and what to do about it.

    names: what services of the watched revision may call themselves; empty: as they do at the start.
    database_url, redis_url: None: not tried directly, judged by what services say.
    thresholds: by name, as agreed.
    rollback: the command, as far as it is the same for every trigger.
    is_first: nothing was verified before what is watched, so that there is nothing to roll back to.
    rolled_out_at: the baseline is of the hour before; None: of the watch's first minutes.
    """

    environment: str
    revision: str
    names: frozenset[str]
    urls: Mapping[str, str]
    checks: Checks
    database_url: str | None
    redis_url: str | None
    thresholds: Mapping[str, Threshold]
    for_seconds: float
    on_trigger: OnTrigger
    rollback: Sequence[str]
    alert_command: str | None = None
    is_first: bool = False
    rolled_out_at: datetime | None = None
    cadence: Cadence = field(default_factory=Cadence)


def order_of(options: WatchOptions, environment: Environment) -> WatchOrder:
    """Refused or SettingsError name what is missing or wrong."""
    if options.on_trigger not in ("rollback", "hold"):
        raise UsageRefused(f"--on-trigger: expected rollback or hold, got {options.on_trigger!r}")
    environment, subject = _deployed(options, environment)
    reader = environment.reader()
    database_url = reader.database_url().reveal() if reader.optional("DATABASE_URL") else None
    redis_url = reader.redis_url().reveal() if reader.optional("REDIS_URL") else None
    return WatchOrder(
        environment=environment.name,
        revision=options.revision or min(subject.expected, key=len, default="what runs now"),
        names=subject.expected,
        urls=subject.urls,
        checks=_checks(environment, subject, has_servers=bool(database_url and redis_url)),
        database_url=database_url,
        redis_url=redis_url,
        thresholds=thresholds.read(_thresholds_path(options.thresholds, environment.name)),
        for_seconds=_seconds_of(options.duration),
        on_trigger=cast(OnTrigger, options.on_trigger),
        rollback=_rollback(options),
        alert_command=reader.optional("STAGING_ALERT_COMMAND"),
        is_first=_is_first(Home(options.home, environment.name)),
        rolled_out_at=_moment(options.rolled_out_at),
    )


def _is_first(home: Home) -> bool:
    """Of what was rolled out from here; of anything else the rollback's own rehearsal tells."""
    known = home.deployed()
    return known.current is not None and known.rollback_target(known.current) is None


def _thresholds_path(given: Path | None, environment: str) -> Path:
    return given or Path("ops") / "deploy" / environment / "thresholds.toml"


def _deployed(options: WatchOptions, environment: Environment) -> tuple[Environment, VerifySubject]:
    """What was rolled out on this host, with its own env set; else what the runbook's URLs name."""
    home = Home(options.home, environment.name)
    current = home.deployed().current
    release = home.kept.find(current) if current is not None and options.driver == "local" else None
    if release is None or options.revision not in (None, release.tag):
        names = git.names_of(Path.cwd(), options.revision)
        return environment, VerifySubject.of_runbook(environment.reader(), names)
    values = {**environment.values, **env_of(release), **verify_env_of(release)}
    names = git.Names(release.tag, release.commit)
    found = replace(environment, values=values)
    return found, VerifySubject.of(found.reader(), all_urls(values, options.driver), names)


def _seconds_of(duration: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6})([smh])", duration)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise UsageRefused(f"--for: expected a time such as 90s, 15m or 1h, at most 24h, got {duration!r}")
    return seconds


def _checks(environment: Environment, subject: VerifySubject, *, has_servers: bool) -> Checks:
    reader = environment.reader()
    has_app_auth = reader.optional("UNIASSIST_APP_AUTH") == "jwt" or subject.app_token is not None
    targets = Targets(
        gateway=None if has_app_auth else subject.urls["gateway"],
        provider=Subject(subject.urls["provider-plan"], token=reader.optional(PLAN_TOKEN)),
        provider_is_ours=True,
        others={
            service: Subject(url, token=environment.values.get(known(service).token_variable or "") or None)
            for service, url in subject.urls.items()
            if service not in ROLLOUT_ORDER
        },
        adapter_wechat=subject.urls["adapter-wechat"],
        worker=subject.urls.get("worker"),
        context_token=reader.optional("UNIASSIST_PROVIDER_CONTEXT_TOKEN"),
        adapter_secret=reader.optional("UNIASSIST_ADAPTER_SECRET"),
        wechat_token=reader.optional("WECHAT_TOKEN"),
    )
    if has_app_auth:
        return Checks(targets, subject, None, "app authentication is on, and it has no user's token")
    if not has_servers:
        return Checks(targets, subject, None, "it needs DATABASE_URL and REDIS_URL")
    return Checks(targets, subject, System.in_use(environment.values, subject.urls["gateway"]), "")


def _rollback(options: WatchOptions) -> list[str]:
    command = uniassist("release", "rollback", "--env", options.environment)
    if options.env_file is not None:
        command += ["--env-file", str(options.env_file.absolute())]
    if options.driver_file is not None:
        command += ["--driver-file", str(options.driver_file.absolute())]
    return [*command, "--state-dir", str(options.home), "--driver", options.driver]


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--rolled-out-at: expected a time such as 2026-11-24T07:30:00Z, got {text!r}"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
