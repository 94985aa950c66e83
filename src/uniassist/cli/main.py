"""`uniassist`: parses arguments and calls what does the work. Every expected error is one line, not a trace."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from importlib import import_module

import typer

from uniassist import terminal
from uniassist.errors import ServerFault, SettingsError, StartError, UniAssistError
from uniassist.settings import secret_files
from uniassist.settings.known_services import BY_NAME
from uniassist.settings.masking import masker_of

# Module → its commands and what the list of them says of each, in the order of that list. A command loads its own
# module only, and the list none: services start sooner, and `--help` is there at once.
_PARTS: dict[str, dict[str, str]] = {
    "stack": {
        "up": "Start the whole system.",
        "status": "What runs where, and how it is.",
        "down": "Drain and stop what `up` runs.",
    },
    "doctor": {"doctor": "What is missing, and how to mend it."},
    "talk": {
        "send": "Write a message, show what comes back.",
        "timeline": "Show a session's timeline.",
    },
    "checks": {
        "smoke": "A message end to end, and every recovery.",
        "conformance": "Whether services keep the contract.",
    },
    "provider": {"provider": "Specialists of your own."},
    "agent": {"agent": "Agents that speak A2A, as specialists."},
    "release.group": {"release": "A release, by the runbook."},
    "drill": {"drill": "Drills: break it on purpose, see it recover."},
    "outbox.commands": {"outbox": "The delivery outbox."},
    "db": {"db": "The database schema."},
    "user": {"user": "What is kept of one person."},
    "services": {
        "gateway": "The one entrance: ingest, routing, timeline, streams.",
        "worker": "Outbox relay, stream consumer and rescuer.",
        "provider-plan": "The `plan` specialist.",
        "provider-reminder": "The `reminder` specialist.",
        "adapter-wechat": "The WeChat Official Account channel.",
    },
    "wechat": {
        "wechat-sim": "A simulated WeChat platform: a phone on a web page.",
        "wechat": "The WeChat Official Account.",
    },
}


def build_app(command: str | None = None) -> typer.Typer:
    """The command line: the part that has `command`, or else the names and meanings of all commands."""
    app = typer.Typer(
        name="uniassist",
        help="One entrance to many specialist assistants: start it, write to it, release it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)  # so that a single command keeps its name
    part = next((part for part, commands in _PARTS.items() if command in commands), None)
    if part is not None:
        import_module(f"uniassist.cli.{part}").register(app)
        return app
    for commands in _PARTS.values():
        for name, meaning in commands.items():
            app.command(name, help=meaning)(lambda: None)
    return app


def main() -> None:
    if os.getpid() == 1:
        # A container's first process: the kernel keeps from it what it has no handler for, and a service that is
        # told to end while it still starts would be waited for, and killed. Elsewhere it ends at once; so here.
        signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(128 + signal.SIGTERM))
    secret_files.take_in(os.environ)
    with terminal.guarded(masker_of(os.environ)):
        try:
            _run()
        except Exception:  # a bug; its trace goes by the guard, as all else that is written
            traceback.print_exc()
            sys.exit(1)


def _run() -> None:
    # pnpm hands a bare `--` on to the script; it means nothing here.
    arguments = [argument for argument in sys.argv[1:] if argument != "--"]
    try:
        if len(arguments) == 1 and arguments[0] in BY_NAME:
            # Nothing to parse, for which typer would load pydantic: a third of a service's start.
            import_module(BY_NAME[arguments[0]].module).main()
            return
        build_app(arguments[0] if arguments else None)(args=arguments, prog_name="uniassist")
    except (SettingsError, StartError) as error:
        print(f"uniassist: {error}", file=sys.stderr)
        sys.exit(1)
    except ServerFault as fault:
        print(f"uniassist: {fault.variable}: {fault}", file=sys.stderr)
        sys.exit(1)
    except UniAssistError as error:
        print(f"uniassist: {error.detail}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
