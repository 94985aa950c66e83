"""`uniassist db migrate | status`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from uniassist.cli.copyable import copyable
from uniassist.cli.silence import waiting
from uniassist.cli.system import SystemEnvFile
from uniassist.cli.where import StateDir, database_url
from uniassist.store import migrate

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The database schema.", no_args_is_help=True)
    group.command("migrate", help="Bring DATABASE_URL to this release's schema; safe to repeat.")(_migrate)
    group.command("status", help="Which revision DATABASE_URL has and what is pending; exits 1 if any is.")(_status)
    app.add_typer(group, name="db")


def _migrate(
    as_json: Json = False,
    state_dir: StateDir = None,
    env_file: SystemEnvFile = None,
    contract: Annotated[
        bool, typer.Option("--contract", help="Also run what takes something away from older releases.")
    ] = False,
) -> None:
    url = database_url(state_dir, env_file)
    with waiting("migrating…"):
        before = migrate.status(url)
        after = migrate.upgrade(url) if contract else migrate.expand(url)
    ran = [step for step in before.pending if step not in after.pending]
    if as_json:
        held = [step[0] for step in after.pending]
        print(
            json.dumps(
                {"before": before.current, "current": after.current, "ran": [step[0] for step in ran], "held": held}
            )
        )
        return
    for revision, kind, title in ran:
        print(f"migrated to {revision} ({kind}): {title}")
    print(f"schema is at {after.current}" + ("" if ran else ", nothing to do"))
    for revision, kind, title in after.pending:
        print(f"held back: {revision} ({kind}): {title}")
    if after.pending:
        print("run it with `uniassist release contract`, once no older release runs or is rolled back to")


def _status(as_json: Json = False, state_dir: StateDir = None, env_file: SystemEnvFile = None) -> None:
    url = database_url(state_dir, env_file)
    with waiting("asking Postgres…"):
        found = migrate.status(url)
    if as_json:
        pending = [{"revision": r, "kind": k, "title": t} for r, k, t in found.pending]
        print(json.dumps({"current": found.current, "head": found.head, "pending": pending}))
    else:
        print(f"schema: {found.current or 'none'}, this release: {found.head}")
        for revision, kind, title in found.pending:
            print(f"pending: {revision} ({kind}): {title}")
        if found.pending:
            print(copyable("next: uniassist db migrate"))
    if found.pending:
        raise typer.Exit(1)
