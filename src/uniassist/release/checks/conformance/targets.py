"""What conformance checks: services by URL, and the secrets that some checks need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from uniassist.release.checks.conformance.provider.asking import Subject

Check = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True)
class Targets:
    """URLs of the services to check; None: not checked. Secrets only where a check needs them.

    `provider_is_ours`: it has what all our services have. `others`: more providers, by the names of their services.
    """

    gateway: str | None = None
    provider: Subject | None = None
    provider_is_ours: bool = False
    others: Mapping[str, Subject] = field(default_factory=dict)
    adapter_wechat: str | None = None
    worker: str | None = None
    context_token: str | None = None
    adapter_secret: str | None = None
    wechat_token: str | None = None
