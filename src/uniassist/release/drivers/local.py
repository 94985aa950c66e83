"""The driver for services on this host.

    LocalDriver(home: Path, *, urls: Mapping[str, str] = {}, runner: Runner | None = None,
                program: Program = uniassist_program, drain_seconds: float = 20.0,
                mask: Callable[[str], str] = str)

home: where the services run (0700, made when missing): `services/<name>/` with order, state and log of each,
    `dependencies/`, and `work/`, their working directory.
urls: base URLs at which `observe` looks, by service; without one, the address that the release's env set gives.
addresses: where a service that was never deployed here would listen, so that a stranger there is seen.
runner: keeps the processes; the embedded keeper unless given.
program: what is run of a release; tests give another.
mask: takes secrets out of what services and pip say.
services: those of the release, whose ports are looked at.

An instance is one started process: the part before the dot is one start of its keeper, the number after it counts
the processes that the keeper started. `observe` compares the one that the runner knows with what /health says.
A service that ends again and again is `running`, since it is started again by itself; `detail` says how it ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from uniassist.devstack.server import port_is_taken
from uniassist.errors import SettingsError
from uniassist.release.drivers import ports
from uniassist.release.drivers.driver import DriverFailed, Observed
from uniassist.release.drivers.embedded import Keepers
from uniassist.release.drivers.endpoint import Answered, ask
from uniassist.release.drivers.installation import Installation
from uniassist.release.drivers.runner import KeptProcess, Runner, ServiceOrder
from uniassist.release.env.file import read_env_file
from uniassist.release.env.services import ROLLOUT_ORDER, known
from uniassist.release.records.kept_releases import Release
from uniassist.release.subprocesses import inherited
from uniassist.settings import Reader

# <records>/environments/<environment>/local/services/<service>
_HOME_DEPTH = 5

Program = Callable[[Path, str], list[str]]
"""(Python of the release, service) → command line."""


def uniassist_program(python: Path, service: str) -> list[str]:
    return [str(python), "-m", "uniassist.cli.main", service]


class LocalDriver:
    name = "local"
    waits_for_a_person = False

    def __init__(
        self,
        home: Path,
        *,
        urls: Mapping[str, str] | None = None,
        addresses: Mapping[str, str] | None = None,
        runner: Runner | None = None,
        program: Program = uniassist_program,
        drain_seconds: float = 20.0,
        mask: Callable[[str], str] = str,
        services: Sequence[str] = ROLLOUT_ORDER,
    ) -> None:
        self._home = home.absolute()
        self._urls = dict(urls or {})
        self._addresses = dict(addresses or {})
        self._runner = runner or Keepers(self._home)
        self._program = program
        self._drain_seconds = drain_seconds
        self._mask = mask
        self._services = tuple(services)
        self._installation = Installation(self._home)

    async def prepare(self, release: Release) -> str:
        self._make_home()
        with self._masked():
            return await self._installation.prepare(release)

    async def deploy(self, service: str, release: Release) -> None:
        await self.prepare(release)
        with self._masked():
            await self._deploy(service, release)

    async def stop(self, service: str, revision: str | None = None) -> None:
        kept = await self._runner.look(service)
        if revision is not None and kept.order is not None and kept.order.tag != revision:
            return
        await self._runner.stop(service)

    async def revert(self, service: str, release: Release) -> None:
        await self.deploy(service, release)

    def command(self, release: Release) -> list[str]:
        """The prepared release's own `uniassist`, as the start of a command line."""
        python = self._installation.ready(release)
        if python is None:
            raise DriverFailed(f"{release.id} isn't prepared here")
        return [str(python), "-m", "uniassist.cli.main"]

    async def observe(self, service: str) -> Observed:
        try:
            return await self._observe(service)
        except OSError as error:
            return Observed(service, "unknown", detail=f"{error.filename}: {error.strerror}")
        except DriverFailed as error:
            return Observed(service, "unknown", detail=str(error))

    async def in_the_way(self, env: Mapping[str, str]) -> list[str]:
        """Of each service whose port somebody else holds, who it is."""
        found: list[str] = []
        addresses = {service: _address(service, env) for service in self._services}
        if not any(port_is_taken(port, host) for host, port in addresses.values()):
            return found
        listening = ports.listening()
        for service, (host, port) in addresses.items():
            kept = await self._runner.look(service)
            mine = ports.family(kept.pid) if kept.pid else set()
            if set(ports.listeners(host, port, listening)) - mine:
                found.append(f"{service}: {_taken(service, (host, port))}")
        return found

    def prune(self, kept: Sequence[Release]) -> list[str]:
        """Removes dependencies that none of the `kept` releases needs; their names."""
        return self._installation.prune(kept)

    async def _deploy(self, service: str, release: Release) -> None:
        env = _env(release)
        order = self._order(service, release, env)
        kept = await self._runner.look(service)
        if kept.alive and kept.watched and kept.order is not None and _same(kept.order, order):
            return
        self._refuse_stranger(order, kept)
        await self._runner.stop(service)
        host, port = order.address
        if port_is_taken(port, host):
            raise DriverFailed(f"{service} is stopped, and not started again: {_taken(service, order.address)}")
        await self._runner.start(order, env)

    async def _observe(self, service: str) -> Observed:
        """Looked at again when it was just started again between the two looks."""
        kept = await self._runner.look(service)
        url = self._urls.get(service) or (kept.order.url if kept.order else self._addresses.get(service))
        if url is None:
            return Observed(service, "stopped", detail="never deployed here")
        seen = await self._judged(service, kept, await ask(url))
        if seen.stranger:
            kept = await self._runner.look(service)
            seen = await self._judged(service, kept, await ask(url, 0.5))
        return seen

    async def _judged(self, service: str, kept: KeptProcess, answered: Answered) -> Observed:
        stranger = answered.ok is not None and (
            answered.service != service or answered.instance is None or answered.instance != kept.instance
        )
        details = [kept.detail, answered.detail if answered.ok is not None or kept.alive else ""]
        if stranger:
            mine = f"instance {kept.instance}" if kept.instance else "nothing"
            details.insert(0, f"{_who(answered)} answers there; {mine} of ours runs")
        elif kept.alive and answered.ok is None:
            details.append(
                f"its last lines ({self._runner.log(service)}):\n{await self._runner.last_lines(service)}"
            )
        return Observed(
            service,
            "running" if kept.alive else "stopped",
            answered.revision,
            answered.env_digest,
            answered.instance,
            answered.ok,
            stranger,
            self._mask("; ".join(detail for detail in details if detail)),
            answered.failing,
        )

    @contextmanager
    def _masked(self) -> Iterator[None]:
        try:
            yield
        except DriverFailed as failed:
            raise DriverFailed(self._mask(str(failed))) from None

    def _order(self, service: str, release: Release, env: dict[str, str]) -> ServiceOrder:
        python = self._installation.ready(release)
        assert python is not None, "prepared just now"
        return ServiceOrder(
            id=secrets.token_hex(6),
            service=service,
            release_id=release.id,
            tag=release.tag,
            env_digest=release.env_digest,
            wheel_sha256=release.wheel_sha256,
            command=self._program(python, service),
            working_directory=str(self._home / "work"),
            drain_seconds=self._drain_seconds,
            address=_address(service, env),
        )

    def _refuse_stranger(self, order: ServiceOrder, kept: KeptProcess) -> None:
        """Before anything is stopped, as far as the system tells who listens."""
        mine = ports.family(kept.pid) if kept.pid else set()
        if set(ports.listeners(*order.address)) - mine:
            raise DriverFailed(f"{order.service}: {_taken(order.service, order.address)}; nothing was stopped")

    def _make_home(self) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._home / "work").mkdir(exist_ok=True)


def _env(release: Release) -> dict[str, str]:
    """What the service gets: the release's env set and nothing of the operator's own settings."""
    try:
        values = read_env_file(release.folder / "env")
    except SettingsError as error:
        raise DriverFailed(str(error)) from None
    values.pop("PORT", None)  # would be that of all
    basics = {name: value for name, value in inherited().items() if name != "PYTHONPATH"}
    return basics | values | {"UNIASSIST_REVISION": release.tag, "UNIASSIST_ENV_DIGEST": release.env_digest}


def _address(service: str, env: Mapping[str, str]) -> tuple[str, int]:
    try:
        reader = Reader(env)
        return reader.text("HOST"), reader.integer(known(service).port_variable)
    except SettingsError as error:
        raise DriverFailed(f"{service}: {error}") from None


def _same(running: ServiceOrder, wanted: ServiceOrder) -> bool:
    """Of the same release, whatever else an order has that is new each time."""
    return (running.release_id, running.env_digest, running.wheel_sha256) == (
        wanted.release_id,
        wanted.env_digest,
        wanted.wheel_sha256,
    )


def _taken(service: str, address: tuple[str, int]) -> str:
    host, port = address
    pids = ports.listeners(host, port)
    who = ", ".join(_named(pid) for pid in pids) or "a process that can't be seen from here"
    return f"{known(service).port_variable}: port {port} on {host} is taken by {who}"


def _named(pid: int) -> str:
    """With the state directory whose keeper runs it: another clone's, say."""
    folder = ports.kept_by(pid)
    if folder is None or len(folder.parents) < _HOME_DEPTH:
        return ports.named(pid)
    home = folder.parents[_HOME_DEPTH - 1]
    return f"{ports.named(pid)}, the {folder.name} that a keeper of another state directory runs, {home}"


def _who(answered: Answered) -> str:
    if answered.service is None:
        return "something that is no service of ours"
    if answered.instance is None:
        return f"a {answered.service} without an instance"
    return f"{answered.service} {answered.revision}, instance {answered.instance},"
