"""What the commands that work on an environment share: their options, and how they begin and end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, TypeVar, get_type_hints

from uniassist.cli.release.consent import asking, refuse_without_consent
from uniassist.cli.release.options import (
    Because,
    DriverFile,
    DriverName,
    DryRun,
    Env,
    EnvFile,
    HealthyWithin,
    Json,
    StateDir,
    Yes,
    records_in,
)
from uniassist.cli.release.screen import Screen, ending
from uniassist.release.env.environment import Environment
from uniassist.release.walk.site import Site
from uniassist.release.walk.walk import HEALTHY_SECONDS


@dataclass(frozen=True)
class SiteOptions:
    """Which environment, where its records are, what runs its services."""

    env: Env = "staging"
    env_file: EnvFile = None
    state_dir: StateDir = None
    driver: DriverName = "local"
    driver_file: DriverFile = None
    as_json: Json = False

    @contextmanager
    def opened(self) -> Iterator[tuple[Screen, Site]]:
        """The command's screen and its site. Whatever is raised inside ends the command as `screen.ending` says."""
        with ending():
            self.refuse()
            environment = Environment.load(self.env, self.env_file)
        with ending(environment.masker.mask), Screen(environment.masker, self.as_json) as screen:
            yield screen, self._site(environment, screen)

    def refuse(self) -> None:
        """Before anything is read: Refused where it could only be refused later."""

    def _site(self, environment: Environment, screen: Screen) -> Site:
        return Site.open(environment, screen, records_in(self.state_dir), self.driver, self.driver_file)


@dataclass(frozen=True)
class ConfirmedOptions(SiteOptions):
    """Of a command that asks first."""

    yes: Yes = False

    def refuse(self) -> None:
        refuse_without_consent(self.yes)

    def asking(self, screen: Screen) -> Callable[[str], None]:
        """What asks the operator; Refused unless it is confirmed."""
        return asking(self.yes, screen.quiet)


@dataclass(frozen=True)
class ChangeOptions(ConfirmedOptions):
    """Of one that changes what runs."""

    because: Because = ""
    healthy_within: HealthyWithin = HEALTHY_SECONDS

    def _site(self, environment: Environment, screen: Screen) -> Site:
        return Site.open(
            environment,
            screen,
            records_in(self.state_dir),
            self.driver,
            self.driver_file,
            because=self.because,
            healthy_seconds=self.healthy_within,
        )


@dataclass(frozen=True)
class RehearsedOptions(ChangeOptions):
    """Of one that also says what it would do."""

    dry_run: DryRun = False

    def refuse(self) -> None:
        refuse_without_consent(self.yes, self.dry_run)


Given = TypeVar("Given", bound=SiteOptions)


def taking(kind: type[Given]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose first parameter is a `kind`: on the command line its fields are options of their own."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        _, *own = inspect.signature(command).parameters.values()
        shared = get_type_hints(kind, include_extras=True)
        parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=shared[field.name]
            )
            for field in fields(kind)
        ]

        @wraps(command)
        def run(**given: Any) -> None:
            options = {field.name: given.pop(field.name) for field in fields(kind)}
            command(kind(**options), **given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as inspect reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate
