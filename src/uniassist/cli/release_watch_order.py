"""What a watch is told by its options and the environment: the same for the command and for its process."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from uniassist.cli.checks import running
from uniassist.cli.release_driver import all_urls
from uniassist.cli.release_environment import Environment
from uniassist.cli.release_verify import runbook_subject, subject_of
from uniassist.errors import SettingsError
from uniassist.release import revisions
from uniassist.release.conformance import Targets
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.home import Home
from uniassist.release.kept import env_of, verify_env_of
from uniassist.release.throwaway import System
from uniassist.release.verify import Subject
from uniassist.release.watch import thresholds
from uniassist.release.watch.by_url import Checks
from uniassist.release.watch.session import OnTrigger, Order
from uniassist.settings import Reader

_UNITS = {"s": 1, "m": 60, "h": 3600}
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 24 * 3600.0


@dataclass(frozen=True)
class Options:
    """As given. `home`: the directory of the records; `rolled_out_at`: ISO 8601; the driver is the rollback's."""

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


def order_of(options: Options, environment: Environment) -> Order:
    """Refused or SettingsError name what is missing or wrong."""
    if options.on_trigger not in ("rollback", "hold"):
        raise UsageRefused(f"--on-trigger: expected rollback or hold, got {options.on_trigger!r}")
    environment, subject = _deployed(options, environment)
    reader = environment.reader()
    database_url = reader.database_url().reveal() if reader.optional("DATABASE_URL") else None
    redis_url = reader.redis_url().reveal() if reader.optional("REDIS_URL") else None
    return Order(
        environment=environment.name,
        revision=options.revision or min(subject.expected, key=len, default="what runs now"),
        names=subject.expected,
        urls=subject.urls,
        checks=_checks(reader, environment, subject, has_servers=bool(database_url and redis_url)),
        database_url=database_url,
        redis_url=redis_url,
        thresholds=thresholds.read(thresholds_path(options.thresholds, environment.name)),
        for_seconds=seconds_of(options.duration),
        on_trigger=cast(OnTrigger, options.on_trigger),
        rollback=_rollback(options),
        alert_command=reader.optional("STAGING_ALERT_COMMAND"),
        rolled_out_at=_moment(options.rolled_out_at),
    )


def thresholds_path(given: Path | None, environment: str) -> Path:
    return given or Path("ops") / "deploy" / environment / "thresholds.toml"


def _deployed(options: Options, environment: Environment) -> tuple[Environment, Subject]:
    """What was rolled out on this host, with its own env set; else what the runbook's URLs name."""
    home = Home(options.home, environment.name)
    current = home.deployed().current
    release = home.kept.find(current) if current is not None and options.driver == "local" else None
    if release is None or options.revision not in (None, release.tag):
        names = revisions.names_of(Path.cwd(), options.revision)
        return environment, runbook_subject(environment.reader(), names)
    values = {**environment.values, **env_of(release), **verify_env_of(release)}
    names = revisions.Names(release.tag, release.commit)
    found = replace(environment, values=values)
    return found, subject_of(found.reader(), all_urls(values, options.driver), names)


def seconds_of(duration: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6})([smh])", duration)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise UsageRefused(f"--for: expected a time such as 90s, 15m or 1h, at most 24h, got {duration!r}")
    return seconds


def _checks(reader: Reader, environment: Environment, subject: Subject, *, has_servers: bool) -> Checks:
    has_app_auth = reader.optional("UNIASSIST_APP_AUTH") == "jwt" or subject.app_token is not None
    targets = Targets(
        gateway=None if has_app_auth else subject.urls["gateway"],
        provider=subject.urls["provider-plan"],
        adapter_wechat=subject.urls["adapter-wechat"],
        worker=subject.urls.get("worker"),
        context_token=reader.optional("UNIASSIST_PROVIDER_CONTEXT_TOKEN"),
        adapter_secret=reader.optional("UNIASSIST_ADAPTER_SECRET"),
        wechat_token=reader.optional("WECHAT_TOKEN"),
    )
    system: System | None = None
    reason = ""
    if has_app_auth:
        reason = "app authentication is on, and it has no user's token"
    elif not has_servers:
        reason = "it needs DATABASE_URL and REDIS_URL"
    else:
        system = running(reader, subject.urls["gateway"], environment.values)
    return Checks(targets, subject, system, reason)


def _rollback(options: Options) -> list[str]:
    command = [sys.executable, "-m", "uniassist.cli.main", "release", "rollback", "--env", options.environment]
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
