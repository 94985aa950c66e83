"""Sessions of Postgres that depend on nothing which a server's, a database's or a role's defaults could change.

A pooler (pgbouncer) may give each transaction another session: what is set has to be set in the transaction, and no
statement stays prepared. It shows by itself: the process that a connection was told of isn't the one that answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg
from asyncpg import connect_utils

from uniassist.store.server import url as urls

# For one connecting, of however many hosts; of each where the URL says `connect_timeout`.
CONNECT_SECONDS = 5.0
# Of several hosts, another may do.
_NEXT_HOST = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TargetServerAttributeNotMatched,
)

_DEPENDED_ON: Mapping[str, str] = {
    # Durable commits (promise 1); who needs less says so.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    # The caller's deadlines come first; these end what nobody waits for any more.
    "statement_timeout": "2min",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "1min",
    "idle_session_timeout": "0",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
}
_TRANSACTION_TIMEOUT_SINCE = 17
# A server that hangs never confirms that a statement was cancelled: then the connection ends.
RELEASE_SECONDS = 2.0


class _FirstWords(connect_utils.TLSUpgradeProto):
    """The driver's own exchange on TLS, whose end nobody may be waiting for any more.

    A connecting that is cancelled between the connection and the question leaves a future that holds the
    connection's loss; the event loop would tell it as an error of ours: "Future exception was never retrieved".
    """

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if not self.on_data.cancelled():
            self.on_data.exception()


connect_utils.TLSUpgradeProto = _FirstWords  # type: ignore[misc]  # the driver takes no other by its options


class Session(asyncpg.Connection):
    """`per_transaction`: the statements that begin each transaction; none but behind a pooler."""

    per_transaction: str = ""

    @contextlib.asynccontextmanager
    async def stopped_after(self, seconds: float) -> AsyncIterator[Sequence[object]]:
        """The server is asked to end what is asked inside and takes longer; gives what it was asked.

        Not by a timeout or a cancellation, after which the driver doesn't say what the server had done by then:
        here the statement's own answer is waited for.
        """
        loop = asyncio.get_running_loop()
        requests: list[asyncio.Future[None]] = []

        async def ask() -> None:
            while True:  # ends: cancelled below. One that meets no statement, between two, comes to nothing
                await asyncio.sleep(seconds)
                requests.append(loop.create_future())
                self._cancel_current_command(requests[-1])  # type: ignore[attr-defined]
                await asyncio.wait(requests)

        asking = loop.create_task(ask())
        try:
            yield requests
        finally:
            asking.cancel()
            if requests and (await asyncio.wait(requests, timeout=RELEASE_SECONDS))[1]:
                self.terminate()  # or what somebody else asks next would be ended


class Sessions:
    """How the sessions of one URL are made. `settings`: run-time parameters besides those that all depend on.

    SettingsError when the URL asks for what we haven't.
    """

    def __init__(
        self, url: str, *, application_name: str = "uniassist", settings: Mapping[str, str] | None = None
    ) -> None:
        parsed = urls.parsed(url)
        self.dsn = parsed.dsn
        self.connect_seconds = parsed.connect_seconds or CONNECT_SECONDS / max(len(parsed.hosts), 1)
        self._hosts: tuple[tuple[str | None, int | None], ...] = parsed.hosts or ((None, None),)
        self._first = 0  # of the hosts: the one to ask next
        self._last = 0  # the one that took the last session
        self._doubted: int | None = None
        self._made: weakref.WeakKeyDictionary[Session, int] = weakref.WeakKeyDictionary()  # on which host
        self._attributes = {"target_session_attrs": parsed.target} if parsed.target else {}
        self._application_name = parsed.application_name or application_name
        self._settings = {**_DEPENDED_ON, **(settings or {})}
        self._is_pooled = False

    async def connect(self, *_dsn: Any, **options: Any) -> Session:
        """A session that is set up. `options`: the driver's own."""
        session = await self._open(options)
        try:
            if not self._is_pooled and await self._is_behind_pooler(session):
                self._is_pooled = True
                await session.close(timeout=self.connect_seconds)
                session = await self._open(options)
            if self._is_pooled:
                local = self._statements(session, "SET LOCAL")
                session.per_transaction = f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {local}"
            else:
                await session.execute(self._statements(session, "SET"))
        except BaseException:
            session.terminate()  # nobody else knows of it
            raise
        return session

    def doubt(self) -> bool:
        """The host of the last session answers no more, or too late. True: there are others, and one is asked next.

        Once another one takes a session, those that are open on this one end, also in the middle of a statement:
        a host that is frozen or cut off would keep whoever waits for it.
        """
        if len(self._hosts) == 1:
            return False
        self._doubted = self._last
        if self._first == self._last:
            self._first = (self._first + 1) % len(self._hosts)
        return True

    async def _open(self, options: Mapping[str, Any]) -> Session:
        """On the first host that will do. The driver's own walk gives all of them one time, which a host that
        doesn't answer uses up."""
        failed: list[Exception] = []
        first = self._first
        for step in range(len(self._hosts)):
            try:
                return await self._open_at((first + step) % len(self._hosts), options)
            except _NEXT_HOST as error:
                failed.append(error)
        raise next(
            (error for error in failed if isinstance(error, asyncpg.TargetServerAttributeNotMatched)), failed[0]
        )

    async def _open_at(self, number: int, options: Mapping[str, Any]) -> Session:
        host, port = self._hosts[number]
        more = {"statement_cache_size": 0} if self._is_pooled else {}
        try:
            opened = await asyncpg.connect(
                self.dsn,
                **{
                    **options,
                    "host": host,
                    "port": port,
                    "timeout": self.connect_seconds,
                    "connection_class": Session,
                    "server_settings": {"application_name": self._application_name},
                    **self._attributes,
                    **more,
                },
            )
        except BaseException:  # also of a caller that waits no longer: it isn't tried first again
            if self._first == number:
                self._first = (number + 1) % len(self._hosts)
            raise
        self._first = self._last = number
        assert isinstance(opened, Session), "made of this class"
        self._made[opened] = number
        self._leave_doubted(number)
        return opened

    def _leave_doubted(self, found: int) -> None:
        doubted, self._doubted = self._doubted, None
        if doubted not in (None, found):
            for session in [session for session, host in self._made.items() if host == doubted]:
                session.terminate()

    async def _is_behind_pooler(self, session: Session) -> bool:
        """In one transaction, so that no pooler answers it by halves; with its own settings, for the server's
        may end a statement before it has begun."""
        async with session.transaction():
            await session.execute(self._statements(session, "SET LOCAL"))
            answering = await session.fetchval("SELECT pg_backend_pid()")
        return bool(answering != session.get_server_pid())

    def _statements(self, session: Session, how: str) -> str:
        settings = dict(self._settings)
        if session.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
            settings["transaction_timeout"] = "0"
        return "; ".join(f"{how} {name} = '{value}'" for name, value in settings.items())
