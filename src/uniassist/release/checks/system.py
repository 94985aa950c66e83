"""A running system as the checks need it: where it is and what opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uniassist.settings import Reader, redis_url
from uniassist.streams.lanes import Layout


@dataclass(frozen=True)
class System:
    """A running system.

    urls: of its services, by name.
    prefix, global_key, group: the names of its streams and of its worker's consumer group.
    adapter_secret, context_token, wechat_token: empty where they aren't known.
    env: for commands of ours that work on it.
    """

    urls: Mapping[str, str]
    database_url: str
    redis_url: str
    prefix: str
    global_key: str
    group: str
    adapter_secret: str
    context_token: str
    wechat_token: str
    env: Mapping[str, str]

    @property
    def layout(self) -> Layout:
        return Layout(self.prefix, self.global_key, redis_url.parsed(self.redis_url).lanes)

    @classmethod
    def in_use(cls, env: Mapping[str, str], gateway_url: str) -> System:
        """As its environment describes it. SettingsError names a variable that is missing or can't be read."""
        reader = Reader(env)
        prefix = reader.text("UNIASSIST_STREAM_PREFIX")
        return cls(
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
