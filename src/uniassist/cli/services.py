"""`uniassist gateway`, `worker`, `provider-plan` and the others: one service in the foreground."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated

import typer

from uniassist.settings.known_services import SERVICES, KnownService

# Text: it is read as the variable is, which says what it should be.
Processes = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="So many processes on the one port, whatever <SERVICE>_PROCESSES says; 1 without it."
    ),
]


def register(app: typer.Typer) -> None:
    """Modules are imported when asked for: a service starts without loading the others."""
    for each in SERVICES:
        if each.processes_variable is not None:
            _register_with_processes(app, each, each.processes_variable)
        else:
            _register_one(app, each)


def _register_one(app: typer.Typer, service: KnownService) -> None:
    def run() -> None:
        import_module(service.module).main()

    app.command(service.name, help=_help(service))(run)


def _register_with_processes(app: typer.Typer, service: KnownService, variable: str) -> None:
    def run(processes: Processes = None) -> None:
        if processes is not None:
            os.environ[variable] = processes
        import_module(service.module).main()

    app.command(service.name, help=_help(service))(run)


def _help(service: KnownService) -> str:
    return f"{service.meaning} Runs until SIGTERM or Ctrl-C; settings come from the environment."
