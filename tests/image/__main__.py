"""`python -m tests.image FOLDER`: what `ops/deploy/image/build-here.sh FOLDER` made, as a system of containers.

All services as an orchestrator would run them: without rights, unable to write, every secret from a file. A
message goes all the way through and every recovery is tried (`uniassist smoke`, from the image as well); then each
is told to end while a stream is open, and has to do so in time and with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from tests.image.container import SECRETS, Container, Image, run
from tests.ports import free_port
from tests.unit.ops.manifests import ROLLOUT
from tests.waiting import eventually
from uniassist.devstack.plan import PORT_VARIABLES
from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.settings import secret_files

# The order of `uniassist release stop`, less what would make its predecessor's last words fail.
_STOP_ORDER = ("worker", "gateway", "adapter-wechat", "provider-reminder", "provider-plan")
_NOT_IN_IT = ("gcc", "cc", "make", "postgres", "valkey-server", "redis-server", "pip", "pip3")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    image = Image.built(parser.parse_args().folder)
    asyncio.run(_smoke(image))
    print("image-smoke: ok")
    return 0


async def _smoke(image: Image) -> None:
    found = [
        name for name in _NOT_IN_IT for path in _path(image) if (image.root / path.lstrip("/") / name).exists()
    ]
    assert not found, f"the image has {', '.join(found)}"
    assert int(image.user.partition(":")[0]) > 0, "the image runs as root"
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uniassist-image-")))
        folder.chmod(0o755)
        env, held = _environment(folder, stack)
        print(run(image, ["db", "migrate"], env, held, folder / "migrate.log").splitlines()[-1])
        services = await stack.enter_async_context(_services(image, env, held, folder))
        print(run(image, ["smoke", "--gateway-url", _url(env, "gateway")], env, held, folder / "smoke.log"))
        await _check_confinement(services["gateway"], _url(env, "gateway"))
        await _check_ends(services, _url(env, "gateway"))


def _path(image: Image) -> list[str]:
    return next(line for line in image.env if line.startswith("PATH=")).removeprefix("PATH=").split(":")


def _environment(folder: Path, stack: AsyncExitStack) -> tuple[dict[str, str], Path]:
    """A staging's variables, its secrets named by files, and the folder where these are."""
    postgres, redis = (
        EmbeddedPostgres(folder / "postgres"),
        EmbeddedRedis(folder / "redis", password=secrets.token_hex(16)),
    )
    for server in (postgres, redis):
        stack.callback(server.stop)
        server.start()
    ports = {service: free_port() for service in ROLLOUT}
    values = {
        "DATABASE_URL": postgres.url,
        "REDIS_URL": redis.url,
        "UNIASSIST_ADAPTER_SECRET": secrets.token_hex(16),
        "UNIASSIST_PROVIDER_CONTEXT_TOKEN": secrets.token_hex(16),
        "UNIASSIST_PROVIDER_TOKEN_PLAN": secrets.token_hex(16),
        "UNIASSIST_PROVIDER_TOKEN_REMINDER": secrets.token_hex(16),
        "WECHAT_TOKEN": secrets.token_hex(16),
    }
    held = folder / "secrets"
    held.mkdir()
    for name, value in values.items():
        (held / name.lower()).write_text(f"{value}\n", "utf-8")
    env = {
        "UNIASSIST_ENV": "staging",
        "UNIASSIST_APP_AUTH": "off",
        "UNIASSIST_PLAN_PROVIDER_BASE_URL": f"http://127.0.0.1:{ports['provider-plan']}",
        "UNIASSIST_REMINDER_PROVIDER_BASE_URL": f"http://127.0.0.1:{ports['provider-reminder']}",
        "GATEWAY_URL": f"http://127.0.0.1:{ports['gateway']}",
        **{PORT_VARIABLES[service]: str(port) for service, port in ports.items()},
        **{secret_files.file_variable(name): f"{SECRETS}/{name.lower()}" for name in values},
    }
    return env, held


@asynccontextmanager
async def _services(
    image: Image, env: dict[str, str], held: Path, folder: Path
) -> AsyncIterator[dict[str, Container]]:
    """In rollout order, each healthy before the next. The gateway by the image's own command."""
    started: dict[str, Container] = {}
    try:
        for service in ROLLOUT:
            arguments = None if service == "gateway" else [service]
            started[service] = Container(image, arguments, env, held, folder / f"{service}.log")
            # It looks at the gateway, which comes later.
            path = "/health/live" if service == "adapter-wechat" else "/health"
            await _until_answered(started[service], _url(env, service) + path)
        for service, container in started.items():
            await _until_answered(container, f"{_url(env, service)}/health")
            print(f"{service}: healthy")
        yield started
    finally:
        for container in started.values():
            container.kill()


def _url(env: dict[str, str], service: str) -> str:
    return f"http://127.0.0.1:{env[PORT_VARIABLES[service]]}"


async def _until_answered(container: Container, url: str) -> None:
    async with aiohttp.ClientSession() as client:

        async def answered() -> tuple[int, str]:
            assert container.is_running, container.log.read_text("utf-8")
            try:
                async with client.get(url) as answer:
                    return answer.status, await answer.text()
            except aiohttp.ClientError as error:
                return 0, str(error)

        async def is_healthy() -> bool:
            return (await answered())[0] == 200

        try:
            await eventually(is_healthy, f"{url}: 200", 60)
        except AssertionError as error:
            said = container.log.read_text("utf-8")
            raise AssertionError(f"{error}; {await answered()}; its log:\n{said}") from None


async def _check_confinement(container: Container, url: str) -> None:
    first = container.first
    assert first is not None
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{first.pid}/status").read_text().splitlines())
    assert status["NSpid"].split()[-1] == "1", "a shell stands between the runtime's signals and the service"
    assert "0" not in status["Uid"].split(), status["Uid"]
    assert int(status["CapEff"], 16) == 0, status["CapEff"]
    mounts = Path(f"/proc/{first.pid}/mounts").read_text().splitlines()
    assert any(line.split()[1] == "/" and "ro" in line.split()[3].split(",") for line in mounts), mounts
    environ = Path(f"/proc/{first.pid}/environ").read_bytes()
    assert b"WECHAT_TOKEN_FILE=" in environ
    assert b"WECHAT_TOKEN=" not in environ
    async with aiohttp.ClientSession() as client, client.get(f"{url}/docs") as answer:
        assert answer.status == 404
        assert "pip install 'uniassist[docs]'" in await answer.text()
    print("confined: process 1, no rights, no root, nothing to write to, no secret in its environment")


async def _check_ends(services: dict[str, Container], gateway_url: str) -> None:
    """With a stream open on the gateway, which it has to hang up on."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{gateway_url}/v0/stream", params={"sessionId": "image-smoke", "cursor": "0"}) as stream,
    ):
        assert stream.status == 200, await stream.text()
        for service in _STOP_ORDER:
            code = await asyncio.to_thread(services[service].terminate)
            assert code == 0, f"{service} ended with {code}:\n{services[service].log.read_text('utf-8')}"
        await stream.content.read()
    print("ended: all drained, with 0")


if __name__ == "__main__":
    sys.exit(main())
