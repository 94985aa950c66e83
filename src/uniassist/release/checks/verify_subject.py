"""What is verified, and with which tokens: by the runbook's variables, or by a kept release's own env set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uniassist.release.env.services import PROVIDERS, ROLLOUT_ORDER, given_urls, order_of, url_variables
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.revision.git import Names
from uniassist.settings import Reader


@dataclass(frozen=True)
class VerifySubject:
    """A system to verify.

    urls: by service, in rollout order; the worker's only where it has one.
    expected: the names that the revision may go by; empty: any, but one.
    context_token, app_token: None: that path is left out, or asked without.
    app_user_claim: which claim of the app token is the userId.
    redis_url: None: the groups of the workers aren't counted.
    global_key, group: of the workers' streams, as the env set says.
    database_url: None: consumption is judged by the gateway's count.
    timeout_seconds: for all steps together.
    services: of the system, in rollout order.
    """

    urls: Mapping[str, str]
    expected: frozenset[str]
    context_token: str | None
    app_token: str | None
    database_url: str | None
    timeout_seconds: float
    redis_url: str | None = None
    global_key: str = ""
    group: str = ""
    app_user_claim: str = "sub"
    services: tuple[str, ...] = ROLLOUT_ORDER

    @classmethod
    def of(cls, reader: Reader, urls: Mapping[str, str], names: Names) -> VerifySubject:
        """At `urls`, with the tokens of the environment. SettingsError names a variable that can't be read."""
        return cls(
            urls=urls,
            expected=names.all,
            context_token=reader.optional("STAGING_CONTEXT_TOKEN"),
            app_token=reader.optional("STAGING_APP_TOKEN"),
            app_user_claim=reader.text("UNIASSIST_APP_JWT_USER_CLAIM"),
            database_url=reader.database_url().reveal() if reader.optional("DATABASE_URL") else None,
            timeout_seconds=reader.integer("STAGING_VERIFY_TIMEOUT_MS") / 1000,
            redis_url=reader.redis_url().reveal() if reader.optional("REDIS_URL") else None,
            global_key=reader.optional("UNIASSIST_STREAM_GLOBAL_KEY")
            or f"{reader.text('UNIASSIST_STREAM_PREFIX')}all",
            group=reader.text("UNIASSIST_STREAM_GROUP"),
            services=order_of(reader.items(PROVIDERS)),
        )

    @classmethod
    def of_runbook(cls, reader: Reader, names: Names) -> VerifySubject:
        """At the runbook's three URLs, those of other providers, and the worker's.

        UsageRefused names all that are missing.
        """
        named = url_variables(order_of(reader.items(PROVIDERS)))
        needed = (variable for service, variable in named.items() if service != "worker")
        missing = [variable for variable in needed if reader.optional(variable) is None]
        if missing:
            raise UsageRefused(f"{', '.join(missing)}: required, but not set")
        return cls.of(reader, given_urls(reader.environ), names)
