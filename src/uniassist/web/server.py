"""Serving: a listening socket, uvicorn with limits, and an end that closes streams before it waits for requests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
import uvicorn
import uvloop

from uniassist.errors import SettingsError, StartError
from uniassist.settings.services import ServiceSettings
from uniassist.telemetry import configure_logging
from uniassist.web import protocol
from uniassist.web.app import Service
from uniassist.web.processes.accepting import Acceptor
from uniassist.web.processes.parent import Parent
from uniassist.web.processes.place import Place

log = structlog.get_logger()

_BACKLOG = 2048
_OPEN_FILES = 65536
# Pools of 20 to Postgres and to Redis, some dozens of calls, a score of connections that ask how we are.
_RESERVED_FILES = 96
# Of objects made, by generation: at Python's 700 a tenth of the CPU goes in looks that find nearly nothing.
_COLLECT_AFTER = (10_000, 10, 10)
_TICKS_A_SECOND = 10
_TICKS_COUNTED = 864_000  # as uvicorn does
_ROUNDS = 5  # of the event loop, in which connections that are closed while idle are gone


class HasService(Protocol):
    @property
    def service(self) -> ServiceSettings: ...


Settings = TypeVar("Settings", bound=HasService)


def run(start: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a service's `async def run()` to its end. What keeps it from starting is one line and exit code 1."""
    _raise_open_files()
    with _said_in_a_line():
        uvloop.run(start())


def run_processes(
    name: str, read: Callable[[], Settings], start: Callable[[Settings, Place], Coroutine[Any, Any, None]]
) -> None:
    """The same in as many processes as the settings say: in this one, or in children of this one."""
    _raise_open_files()
    with _said_in_a_line():
        settings = read()
        service = settings.service
        if service.processes == 1:
            uvloop.run(start(settings, Place()))
            return
        configure_logging(name, service.log_level)
        listener = listen(service.host, service.port, port_variable=service.port_variable)
        code = Parent(listener, service.processes, partial(_be_one, start, settings)).run()
    if code:
        raise SystemExit(code)


def _be_one(
    start: Callable[[Settings, Place], Coroutine[Any, Any, None]], settings: Settings, place: Place
) -> None:
    with _said_in_a_line():
        uvloop.run(start(settings, place))


@contextlib.contextmanager
def _said_in_a_line() -> Generator[None, None, None]:
    try:
        yield
    except (SettingsError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


def listener_of(service: ServiceSettings, place: Place) -> socket.socket:
    """The parent's, or one of this process's own."""
    if place.listener is not None:
        return place.listener
    return listen(service.host, service.port, port_variable=service.port_variable)


def listen(host: str, port: int, *, port_variable: str) -> socket.socket:
    """Take the port, before anything else is opened. StartError names `port_variable` when that fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"{port_variable}: port {port} on {host} is taken; stop what uses it, or set {port_variable}"
            ) from None
        raise StartError(f"HOST, {port_variable}: can't listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


async def serve(
    app: Service,
    listener: socket.socket,
    *,
    on_stop: Callable[[], Awaitable[None]] | None = None,
    drain_seconds: int = 10,
    place: Place | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: no new connections, `on_stop`, and then the requests under way.

    `on_stop`: ends what wouldn't end by itself (event streams).
    `drain_seconds`: for `on_stop`, and again for the requests; a second signal ends the wait.
    `place`: among the service's processes; None: it has no other.
    """
    place = place if place is not None else Place()
    server = _Server(_config(app, drain_seconds), on_stop, drain_seconds, place)
    address = listener.getsockname()
    # What exists by now stays: without it a full collection takes 50 ms, in which nobody is answered.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    log.info("listening", host=address[0], port=address[1])
    async with app.scrapes:
        if not await place.may_serve():
            return
        with _told_to_stop(server, place.parent):
            try:
                await server.serve(sockets=[listener])
            finally:
                listener.close()


@contextlib.contextmanager
def _told_to_stop(server: _Server, parent: socket.socket | None) -> Generator[None, None, None]:
    """By signals; by the parent, where there is one: what reaches all processes at once then counts as one."""
    loop = asyncio.get_running_loop()
    if parent is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
    else:
        parent.setblocking(False)
        loop.add_reader(parent, _hear, server, parent)
        loop.add_signal_handler(signal.SIGTERM, server.begin_to_stop)
    try:
        yield
    finally:
        if parent is None:
            loop.remove_signal_handler(signal.SIGINT)
        else:
            loop.remove_reader(parent)
        loop.remove_signal_handler(signal.SIGTERM)


def _hear(server: _Server, parent: socket.socket) -> None:
    try:
        said = parent.recv(16)
    except BlockingIOError:
        return
    except OSError:
        said = b""
    for _ in said:
        server.stop()
    if not said:
        log.warning("the parent is gone: draining")
        asyncio.get_running_loop().remove_reader(parent)
        server.begin_to_stop()


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        on_stop: Callable[[], Awaitable[None]] | None,
        drain_seconds: int,
        place: Place,
    ) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._drain_seconds = drain_seconds
        self._place = place
        self._acceptor: Acceptor | None = None
        self._stops = 0
        self._told = asyncio.Event()

    def stop(self) -> None:
        """Twice: without waiting for what is under way."""
        self._stops += 1
        if self._stops > 1:
            self.force_exit = True
        self.begin_to_stop()

    def begin_to_stop(self) -> None:
        self.should_exit = True
        self._told.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal again once it has drained, which ends the process before the service
        # could close its pools; `serve` listens to the signals itself
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._place.of == 1 or sockets is None:
            await super().startup(sockets)
            return
        await super().startup([])
        [listener] = sockets
        self._acceptor = Acceptor(listener, self._place, self._protocol, lambda: len(self.server_state.connections))

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def main_loop(self) -> None:
        """As uvicorn's, whose sleep nobody ends that tells it to stop."""
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % _TICKS_COUNTED
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / _TICKS_A_SECOND):
                    await self._told.wait()

    async def on_tick(self, counter: int) -> bool:
        if self._acceptor is not None:
            self._acceptor.tell_held()
        if counter % _TICKS_A_SECOND == 0:
            self._close_dawdlers()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("draining", connections=len(self.server_state.connections))
        for server in self.servers:
            server.close()
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
        if self._on_stop is not None:
            try:
                async with asyncio.timeout(self._drain_seconds):
                    await self._on_stop()
            except Exception as error:  # the rest must still be closed
                log.error("stopping failed", error=repr(error))
        if await self._nobody_is_left():
            for each in sockets or ():
                each.close()
        else:
            await super().shutdown(sockets)

    async def _nobody_is_left(self) -> bool:
        """uvicorn sleeps before it looks."""
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(_ROUNDS):
            if not self.server_state.connections:
                break
            await asyncio.sleep(0)
        return not self.server_state.connections and not self.server_state.tasks

    def _close_dawdlers(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, protocol.BoundedHttpProtocol):
                connection.close_if_waiting_since(now - protocol.REQUEST_DEADLINE_SECONDS)
                connection.abort_if_unread_since(now - protocol.READER_DEADLINE_SECONDS)


def _config(app: Service, drain_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol_of(app),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=[("x-content-type-options", "nosniff")],
        backlog=_BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=drain_seconds,
    )


def _protocol_of(app: Service) -> type[asyncio.Protocol]:
    class Protocol(protocol.BoundedHttpProtocol):
        bodies = app.bodies
        most_connections = _most_connections()

    return Protocol


def _most_connections() -> int:
    """What is left of the descriptors for those who call, a reserve aside: for both servers, providers, files, and
    for whoever asks how we are.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _RESERVED_FILES, soft // 2) if soft != resource.RLIM_INFINITY else _OPEN_FILES


def _raise_open_files() -> None:
    # the soft limit is often 1024; event streams are many
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
