"""`uniassist`: parses arguments and calls what does the work. Every expected error is one line, not a trace."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from uniassist.errors import SettingsError, StartError, UniAssistError

# Module → its commands, in the order of the help. A command loads its own module only: services start sooner.
_PARTS: dict[str, tuple[str, ...]] = {
    "stack": ("up", "down", "status"),
    "doctor": ("doctor",),
    "talk": ("send", "timeline"),
    "outbox": ("outbox",),
    "checks": ("smoke", "conformance"),
    "release": ("release",),
    "drill": ("drill",),
    "db": ("db",),
    "wechat": ("wechat-sim", "wechat"),
    "services": ("gateway", "worker", "provider-plan", "adapter-wechat"),
}


def build_app(command: str | None = None) -> typer.Typer:
    """The command line; only the part that has `command`, when one has it."""
    app = typer.Typer(
        name="uniassist",
        help="One entrance to many specialist assistants: start it, write to it, release it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)  # so that a single command keeps its name
    known = [part for part, commands in _PARTS.items() if command in commands]
    for part in known or _PARTS:
        import_module(f"uniassist.cli.{part}").register(app)
    return app


def main() -> None:
    # pnpm hands a bare `--` on to the script; it means nothing here.
    arguments = [argument for argument in sys.argv[1:] if argument != "--"]
    try:
        build_app(arguments[0] if arguments else None)(args=arguments, prog_name="uniassist")
    except (SettingsError, StartError) as error:
        print(f"uniassist: {error}", file=sys.stderr)
        sys.exit(1)
    except UniAssistError as error:
        print(f"uniassist: {error.detail}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
