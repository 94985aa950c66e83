"""`uniassist smoke` and `uniassist conformance`: of a system that they start, or of any by its URLs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from uniassist.release import interrupts
from uniassist.release.checks import throwaway_system
from uniassist.release.checks.conformance.conformance import check_all
from uniassist.release.checks.conformance.provider.asking import SAMPLE_TEXT, Subject
from uniassist.release.checks.conformance.targets import Targets
from uniassist.release.checks.smoke import smoke
from uniassist.release.checks.system import System
from uniassist.release.env.services import ROLLOUT_ORDER, known
from uniassist.release.exit_codes import ExitCode
from uniassist.release.report.checklist import Checklist

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
        await smoke(checklist, System.in_use(os.environ, gateway_url.rstrip("/")))
        return
    async with throwaway_system.system_beside(os.environ, checklist.say) as system:
        await smoke(checklist, system)


def _conformance(
    gateway_url: GatewayUrl = None,
    provider_url: Annotated[str | None, typer.Option("--provider-url", help="A provider: yours, say.")] = None,
    token_env: Annotated[
        str | None, typer.Option("--token-env", help="Variable with the token that the provider asks for.")
    ] = None,
    text: Annotated[str, typer.Option("--text", help="A message that the provider answers.")] = SAMPLE_TEXT,
    late_text: Annotated[
        str | None, typer.Option("--late-text", help="A message whose run stays open; default: --text.")
    ] = None,
    events_port: Annotated[
        int | None,
        typer.Option(
            "--events-port",
            min=1,
            max=65535,
            help="Where to hear late events: start the provider with GATEWAY_URL=http://127.0.0.1:PORT.",
        ),
    ] = None,
    wechat_url: Annotated[str | None, typer.Option("--wechat-url", help="A running adapter-wechat.")] = None,
    worker_url: Annotated[str | None, typer.Option("--worker-url", help="A running worker.")] = None,
    as_json: Json = False,
) -> None:
    checklist = _checklist("conformance", as_json=as_json)
    if token_env is not None and not os.environ.get(token_env):
        print(f"--token-env: {token_env} is not set; expected the provider's token", file=sys.stderr)
        raise typer.Exit(FAILED)
    subject = Subject(
        (provider_url or "").rstrip("/"),
        token=os.environ.get(token_env or "UNIASSIST_PROVIDER_TOKEN_PLAN") or None,
        text=text,
        late_text=late_text,
        events_port=events_port,
    )
    given = Targets(
        gateway=gateway_url,
        provider=subject if provider_url else None,
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
    async with throwaway_system.system_beside(os.environ, checklist.say) as system:
        targets = Targets(
            gateway=system.urls["gateway"],
            provider=Subject(
                system.urls["provider-plan"], token=system.env.get("UNIASSIST_PROVIDER_TOKEN_PLAN") or None
            ),
            provider_is_ours=True,
            others={
                name: Subject(url, token=system.env.get(known(name).token_variable or "") or None)
                for name, url in system.urls.items()
                if name not in ROLLOUT_ORDER
            },
            adapter_wechat=system.urls["adapter-wechat"],
            worker=system.urls["worker"],
            context_token=system.context_token,
            adapter_secret=system.adapter_secret,
            wechat_token=system.wechat_token,
        )
        await check_all(checklist, targets)


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
