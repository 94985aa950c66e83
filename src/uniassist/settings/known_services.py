"""The one table of our services, in the order of a rollout: names, ports, where verifier and gateway find them.

`uniassist up` runs all of them. A release has the runbook's four, and the providers that its environment names
beside them (STAGING_PROVIDERS), which follow provider-plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownService:
    """`module`: has its `main`. `port_variable`: where it listens. `url_variable`: where a verifier reaches it.

    `base_url_variable`: of a provider, where the gateway calls it. `token_variable`: what it is shown there.
    `is_of_every_release`: one of the runbook's four. `processes_variable`: how many it runs as; None: one.
    """

    name: str
    meaning: str
    module: str
    port_variable: str
    url_variable: str
    base_url_variable: str | None = None
    token_variable: str | None = None
    is_of_every_release: bool = True
    processes_variable: str | None = None


# In the order of a rollout and of a start: who is called goes before who calls.
SERVICES: tuple[KnownService, ...] = (
    KnownService(
        "provider-plan",
        "The `plan` specialist.",
        "uniassist.provider_plan.app",
        "PROVIDER_PLAN_PORT",
        "STAGING_PROVIDER_PLAN_BASE_URL",
        "UNIASSIST_PLAN_PROVIDER_BASE_URL",
        "UNIASSIST_PROVIDER_TOKEN_PLAN",
        processes_variable="PROVIDER_PLAN_PROCESSES",
    ),
    KnownService(
        "provider-reminder",
        "The `reminder` specialist.",
        "uniassist.provider_reminder.app",
        "PROVIDER_REMINDER_PORT",
        "STAGING_PROVIDER_REMINDER_BASE_URL",
        "UNIASSIST_REMINDER_PROVIDER_BASE_URL",
        "UNIASSIST_PROVIDER_TOKEN_REMINDER",
        is_of_every_release=False,
        processes_variable="PROVIDER_REMINDER_PROCESSES",
    ),
    KnownService(
        "adapter-wechat",
        "The WeChat Official Account channel.",
        "uniassist.adapter_wechat.app",
        "ADAPTER_WECHAT_PORT",
        "STAGING_ADAPTER_WECHAT_BASE_URL",
    ),
    KnownService(
        "gateway",
        "The one entrance: ingest, routing, timeline, streams.",
        "uniassist.gateway.app",
        "GATEWAY_PORT",
        "STAGING_GATEWAY_BASE_URL",
        processes_variable="GATEWAY_PROCESSES",
    ),
    KnownService(
        "worker",
        "Outbox relay, stream consumer and rescuer.",
        "uniassist.worker.app",
        "WORKER_PORT",
        "STAGING_WORKER_BASE_URL",
    ),
)
BY_NAME = {each.name: each for each in SERVICES}
PROVIDER = "provider-"
_LAST_PROVIDER = "provider-plan"  # of the runbook's four; all others follow it


def of_release(provider_ids: Iterable[str] = ()) -> tuple[KnownService, ...]:
    """The four, and the providers of these ids behind provider-plan, in their order."""
    others = [provider_service(each) for each in provider_ids]
    ordered: list[KnownService] = []
    for each in SERVICES:
        if each.is_of_every_release:
            ordered.append(each)
        if each.name == _LAST_PROVIDER:
            ordered += others
    return tuple(ordered)


def provider_service(provider_id: str) -> KnownService:
    """Ours of that id, or one of somebody else's, whose variables are named alike."""
    name = f"{PROVIDER}{provider_id}"
    if name in BY_NAME:
        return BY_NAME[name]
    upper = provider_id.upper().replace("-", "_")
    return KnownService(
        name,
        f"The `{provider_id}` specialist.",
        "",
        f"PROVIDER_{upper}_PORT",
        f"STAGING_PROVIDER_{upper}_BASE_URL",
        f"UNIASSIST_{upper}_PROVIDER_BASE_URL",
        f"UNIASSIST_PROVIDER_TOKEN_{upper}",
        is_of_every_release=False,
    )
