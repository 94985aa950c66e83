"""Connections to Postgres, pooled or not: the edge where the driver's errors become ours.

Nothing else in the package calls the driver, so no caller meets anything but a ServerFault.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction as DriverTransaction

from uniassist.errors import AccessRefused, Away, Locked, ReadOnly, ServerFault, SettingsError
from uniassist.store.server import gathering
from uniassist.store.server.faults import PostgresEdge
from uniassist.store.server.gathering import Gathering
from uniassist.store.server.sessions import CONNECT_SECONDS, RELEASE_SECONDS, Session, Sessions

Record = asyncpg.Record

_EDGE = PostgresEdge()
_CONNECTING = PostgresEdge(connecting=True)


class Connection:
    """A session of Postgres. `timeout` in seconds, of the statement; the session's own where it is None."""

    __slots__ = ("_driver", "_per_transaction")

    def __init__(self, driver: Session) -> None:
        self._driver = driver
        self._per_transaction = driver.per_transaction  # a lent one that is lost has no attributes any more

    @property
    def is_behind_pooler(self) -> bool:
        """Each statement is a transaction then, with a beginning that sets what it depends on."""
        return bool(self._per_transaction)

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Record]:
        found: list[Record] = await self._ask(self._driver.fetch, sql, arguments, timeout)
        return found

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Record | None:
        found: Record | None = await self._ask(self._driver.fetchrow, sql, arguments, timeout)
        return found

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        return await self._ask(self._driver.fetchval, sql, arguments, timeout)

    async def fetchmany(
        self, sql: str, arguments: Sequence[tuple[Any, ...]], *, stop_after: float, timeout: float | None = None
    ) -> list[Record]:
        """The rows of one statement for many arguments, in one round trip and one transaction.

        Locked when the server, asked for it after `stop_after` seconds, has stopped it: nothing of it is done then.
        """
        async with self._driver.stopped_after(stop_after) as requests:
            try:
                found: list[Record] = await self._ask(self._driver.fetchmany, sql, (arguments,), timeout)
            except Away as error:
                if requests and isinstance(error.__cause__, asyncpg.QueryCanceledError):
                    raise Locked("postgres", "stopped, for it took too long") from error
                raise
        return found

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> str:
        """The command's tag, such as `UPDATE 3`."""
        tag: str = await self._ask(self._driver.execute, sql, arguments, timeout)
        return tag

    def transaction(self) -> Transaction:
        """`async with` it: committed at the end, rolled back after an error."""
        return Transaction(self._driver, self._per_transaction)

    async def _ask(
        self, ask: Callable[..., Awaitable[Any]], sql: str, arguments: tuple[Any, ...], timeout: float | None
    ) -> Any:
        with _EDGE:
            if not self._per_transaction or self._driver.is_in_transaction():
                return await ask(sql, *arguments, timeout=timeout)
            async with self.transaction():
                return await ask(sql, *arguments, timeout=timeout)


class Transaction:
    __slots__ = ("_driver", "_per_transaction", "_session")

    def __init__(self, session: Session, per_transaction: str) -> None:
        self._session = session
        self._per_transaction = per_transaction
        self._driver: DriverTransaction = session.transaction()

    async def __aenter__(self) -> None:
        with _EDGE:
            await self._driver.start()
            if not self._per_transaction:
                return
        try:
            with _EDGE:
                await self._session.execute(self._per_transaction)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with _EDGE:
                await self._driver.commit()
            return
        try:
            with _EDGE:
                await self._driver.rollback()
        except ServerFault:
            pass  # the connection is gone and the transaction with it; the error inside says more


class SingleConnection(Connection):
    """One that no pool keeps: `async with` it, or `close` it."""

    __slots__ = ()
    _driver: Session

    async def close(self) -> None:
        """Politely, for some seconds; whatever state it is in."""
        try:
            with _EDGE:
                await self._driver.close(timeout=CONNECT_SECONDS)
        except ServerFault:
            self._driver.terminate()

    def terminate(self) -> None:
        """At once, without a word to the server."""
        self._driver.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Pool:
    """Connections that are opened when they are needed. Each method lends one for its statement."""

    def __init__(self, driver: asyncpg.Pool, sessions: Sessions) -> None:
        self._driver = driver
        self._sessions = sessions
        self._gatherings: dict[str, Gathering[Record]] = {}

    async def doubt(self) -> None:
        """Its host gave no answer in time: where the URL names several, another one is looked for."""
        if self._sessions.doubt():
            await self._driver.expire_connections()

    def acquire(self, *, timeout: float | None = None) -> _Lent:
        """`async with` it: a connection of one's own. `timeout` in seconds, until there is one."""
        return _Lent(self._driver, timeout)

    async def fetch(self, sql: str, *arguments: Any, timeout: float | None = None) -> list[Record]:
        async with self.acquire() as connection:
            return await connection.fetch(sql, *arguments, timeout=timeout)

    async def fetchrow(self, sql: str, *arguments: Any, timeout: float | None = None) -> Record | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *arguments, timeout=timeout)

    async def fetchrow_gathered(
        self, key: str, sql: str, *arguments: Any, by: str, timeout: float | None = None
    ) -> Record | None:
        """As fetchrow, with others that ask the same statement meanwhile. `by`: the column that has the key."""
        gathered = self._gatherings.get(sql)
        if gathered is None:

            async def alone(arguments: tuple[Any, ...]) -> Record | None:
                return await self.fetchrow(sql, *arguments, timeout=timeout)

            async def together(calls: Sequence[tuple[Any, ...]]) -> dict[str, Record]:
                async with self.acquire() as connection:
                    stop_after = gathering.TOGETHER_SECONDS
                    rows = await connection.fetchmany(sql, calls, stop_after=stop_after, timeout=timeout)
                    return {row[by]: row for row in rows}

            gathered = self._gatherings[sql] = Gathering(alone, together)
        return await gathered.ask(key, arguments)

    async def fetchval(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *arguments, timeout=timeout)

    async def execute(self, sql: str, *arguments: Any, timeout: float | None = None) -> str:
        """The command's tag, such as `UPDATE 3`."""
        async with self.acquire() as connection:
            return await connection.execute(sql, *arguments, timeout=timeout)

    async def close(self) -> None:
        """Once what was lent is back."""
        with _EDGE:
            await self._driver.close()

    def terminate(self) -> None:
        self._driver.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Lent:
    __slots__ = ("_driver", "_pool", "_timeout")

    def __init__(self, pool: asyncpg.Pool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._driver: PoolConnectionProxy | None = None

    async def __aenter__(self) -> Connection:
        with _CONNECTING:
            self._driver = await self._pool.acquire(timeout=self._timeout)
        return Connection(cast(Session, self._driver))  # a proxy that passes all on to one

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._driver is not None, "it was entered"
        if isinstance(error, ReadOnly):
            # The primary is elsewhere now: each connection is made anew, by name, when it is next lent.
            await self._pool.expire_connections()
        try:
            with _EDGE:
                await self._pool.release(self._driver, timeout=RELEASE_SECONDS)
        except ServerFault:
            if error is None:
                raise
            # The driver has ended the connection; the error inside says more.


async def create_pool(
    url: str,
    *,
    application_name: str,
    max_size: int = 10,
    command_timeout_seconds: float = 30.0,
    settings: Mapping[str, str] | None = None,
) -> Pool:
    """A pool of at most `max_size` connections, opened lazily: the service starts also while Postgres is down.

    `settings`: run-time parameters of its sessions, besides those of all (see `sessions`). SettingsError when the
    URL asks for what we haven't.
    """
    sessions = Sessions(url, application_name=application_name, settings=settings)
    driver = await asyncpg.create_pool(
        sessions.dsn,
        connect=cast(Any, sessions.connect),
        connection_class=Session,
        min_size=0,
        max_size=max_size,
        command_timeout=command_timeout_seconds,
        max_inactive_connection_lifetime=300.0,
        reset=_keep_as_it_is,
    )
    return Pool(driver, sessions)


async def connect(url: str, *, command_timeout_seconds: float = 30.0) -> SingleConnection:
    """A connection for a command or a look: `async with await connect(url) as connection`."""
    try:
        sessions = Sessions(url)
    except SettingsError as error:
        raise AccessRefused("postgres", "the URL", said=str(error).removeprefix("DATABASE_URL: ")) from None
    with _CONNECTING:
        driver = await sessions.connect(command_timeout=command_timeout_seconds)
    return SingleConnection(driver)


async def _keep_as_it_is(_connection: asyncpg.Connection) -> None:
    """Nothing here leaves session state behind, and the driver's own reset is one more round trip for each use."""
