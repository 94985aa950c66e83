"""`uniassist smoke` and `uniassist conformance`: of a system that they start, or of any by its URLs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from uniassist.release import interrupts, throwaway
from uniassist.release.checklist import Checklist
from uniassist.release.conformance import Targets, check_all
from uniassist.release.exit_codes import ExitCode
from uniassist.release.smoke import smoke
from uniassist.release.throwaway import System
from uniassist.settings import Reader

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts; progress goes to stderr.")]
GatewayUrl = Annotated[str | None, typer.Option("--gateway-url", help="A running gateway.")]
FAILED = 1


def register(app: typer.Typer) -> None:
    app.command("smoke", help="A message end to end, and every recovery. On a throwaway system unless given URLs.")(
        _smoke
    )
    app.command("conformance", help="Whether services keep the contract. Starts its own unless given URLs.")(
        _conformance
    )


def _smoke(
    gateway_url: Annotated[
        str | None,
        typer.Option("--gateway-url", help="A running gateway; DATABASE_URL and REDIS_URL must be its own."),
    ] = None,
    as_json: Json = False,
) -> None:
    checklist = _checklist("smoke", as_json=as_json)
    _run(_run_smoke(checklist, gateway_url))
    _report(checklist, as_json=as_json)


async def _run_smoke(checklist: Checklist, gateway_url: str | None) -> None:
    if gateway_url is not None:
        await smoke(checklist, running(Reader(os.environ), gateway_url.rstrip("/"), os.environ))
        return
    async with _own_system(checklist) as system:
        await smoke(checklist, system)


def running(reader: Reader, gateway_url: str, env: Mapping[str, str]) -> System:
    """A system in use, as its environment describes it."""
    prefix = reader.text("UNIASSIST_STREAM_PREFIX")
    return System(
        urls={"gateway": gateway_url},
        database_url=reader.database_url().reveal(),
        redis_url=reader.redis_url().reveal(),
        prefix=prefix,
        global_key=reader.optional("UNIASSIST_STREAM_GLOBAL_KEY") or f"{prefix}all",
        group=reader.text("UNIASSIST_STREAM_GROUP"),
        adapter_secret="",
        context_token="",
        wechat_token="",
        env=dict(env),
    )


def _conformance(
    gateway_url: GatewayUrl = None,
    provider_url: Annotated[str | None, typer.Option("--provider-url", help="A provider: yours, say.")] = None,
    wechat_url: Annotated[str | None, typer.Option("--wechat-url", help="A running adapter-wechat.")] = None,
    worker_url: Annotated[str | None, typer.Option("--worker-url", help="A running worker.")] = None,
    as_json: Json = False,
) -> None:
    checklist = _checklist("conformance", as_json=as_json)
    given = Targets(
        gateway=gateway_url,
        provider=provider_url,
        adapter_wechat=wechat_url,
        worker=worker_url,
        context_token=os.environ.get("UNIASSIST_PROVIDER_CONTEXT_TOKEN") or None,
        adapter_secret=os.environ.get("UNIASSIST_ADAPTER_SECRET") or None,
        wechat_token=os.environ.get("WECHAT_TOKEN") or None,
    )
    own = not any((gateway_url, provider_url, wechat_url, worker_url))
    _run(_run_own_conformance(checklist) if own else check_all(checklist, given))
    _report(checklist, as_json=as_json)


async def _run_own_conformance(checklist: Checklist) -> None:
    async with _own_system(checklist) as system:
        targets = Targets(
            gateway=system.urls["gateway"],
            provider=system.urls["provider-plan"],
            adapter_wechat=system.urls["adapter-wechat"],
            worker=system.urls["worker"],
            context_token=system.context_token,
            adapter_secret=system.adapter_secret,
            wechat_token=system.wechat_token,
        )
        await check_all(checklist, targets)


@asynccontextmanager
async def _own_system(checklist: Checklist) -> AsyncIterator[System]:
    """On the Postgres and the Redis of the environment, aside from all that is there; else on embedded ones."""
    reader = Reader(os.environ)
    database_url = reader.database_url().reveal() if reader.optional("DATABASE_URL") else None
    redis_url = reader.redis_url().reveal() if reader.optional("REDIS_URL") else None
    where = [
        f"{name} {'given, aside from what is there' if url else 'embedded'}"
        for name, url in (("Postgres", database_url), ("Redis", redis_url))
    ]
    checklist.say(f"starting a system of its own ({'; '.join(where)})…")
    async with throwaway.system(database_url=database_url, redis_url=redis_url) as system:
        yield system
        checklist.say("stopping and removing it…")


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        interrupts.run(work, lambda line: print(line, file=sys.stderr, flush=True))
    except interrupts.Interrupted:
        print("interrupted; nothing is left behind", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _checklist(title: str, *, as_json: bool) -> Checklist:
    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    return Checklist(title, say)


def _report(checklist: Checklist, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(checklist.document(), ensure_ascii=False))
    else:
        print(checklist.summary())
    if checklist.failed or not checklist.outcomes:
        raise typer.Exit(FAILED)
