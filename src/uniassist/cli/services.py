"""`uniassist gateway | worker | provider-plan | adapter-wechat`: one service in the foreground."""

from __future__ import annotations

from importlib import import_module

import typer

# Imported when asked for: a service starts without loading the other three.
_SERVICES = {
    "gateway": ("uniassist.gateway.app", "The one entrance: ingest, routing, timeline, streams."),
    "worker": ("uniassist.worker.app", "Outbox relay, stream consumer and rescuer."),
    "provider-plan": ("uniassist.provider_plan.app", "The `plan` specialist."),
    "adapter-wechat": ("uniassist.adapter_wechat.app", "The WeChat Official Account channel."),
}


def register(app: typer.Typer) -> None:
    for name, (module, meaning) in _SERVICES.items():
        _register_one(app, name, module, meaning)


def _register_one(app: typer.Typer, name: str, module: str, meaning: str) -> None:
    def run() -> None:
        import_module(module).main()

    app.command(name, help=f"{meaning} Runs until SIGTERM or Ctrl-C; settings come from the environment.")(run)
