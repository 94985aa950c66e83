"""`uniassist`: parses arguments and calls what does the work. Every expected error is one line, not a trace."""

from __future__ import annotations

import sys

import typer

from uniassist.cli import checks, db, outbox, services, stack, talk
from uniassist.errors import SettingsError, StartError, UniAssistError


def build_app() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="uniassist",
        help="One entrance to many specialist assistants: start it, write to it, release it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for part in (stack, talk, services, checks, db, outbox):
        part.register(app)
    return app


def main() -> None:
    # pnpm hands a bare `--` on to the script; it means nothing here.
    arguments = [argument for argument in sys.argv[1:] if argument != "--"]
    try:
        build_app()(args=arguments, prog_name="uniassist")
    except (SettingsError, StartError) as error:
        print(f"uniassist: {error}", file=sys.stderr)
        sys.exit(1)
    except UniAssistError as error:
        print(f"uniassist: {error.detail}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
