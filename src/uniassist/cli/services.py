"""`uniassist gateway`, `worker`, `provider-plan` and the others: one service in the foreground."""

from __future__ import annotations

from importlib import import_module

import typer

from uniassist.settings.known_services import SERVICES


def register(app: typer.Typer) -> None:
    """Modules are imported when asked for: a service starts without loading the others."""
    for each in SERVICES:
        _register_one(app, each.name, each.module, each.meaning)


def _register_one(app: typer.Typer, name: str, module: str, meaning: str) -> None:
    def run() -> None:
        import_module(module).main()

    app.command(name, help=f"{meaning} Runs until SIGTERM or Ctrl-C; settings come from the environment.")(run)
