"""A Cluster that speaks TLS itself (Debian's Redis): its node is asked, and connected to, over TLS only."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis
from tests.certificates import Authority
from tests.redis_cluster import SLOTS, bus_port
from tests.waiting import eventually

from uniassist.devstack.server import ServerProcess
from uniassist.errors import AccessRefused
from uniassist.streams.client import connect

PROGRAM = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Debian's redis-server isn't installed: see `make test-ha`")

PASSWORD = "server-0123456789"


@pytest.fixture
async def url(server_directory: Path) -> AsyncIterator[str]:
    """Of a node that has all slots, without the parameters of TLS."""
    folder, port = server_directory / "cluster-tls", bus_port()
    good = (authority := Authority(folder)).issue("good", "127.0.0.1")
    (folder / "redis.conf").write_text(
        "port 0\nbind 127.0.0.1\ntls-auth-clients no\ncluster-enabled yes\ntls-cluster yes\n"
        f"tls-cert-file {good.file}\ntls-key-file {good.key}\ntls-ca-cert-file {authority.file}\n"
        f'tls-port {port}\nrequirepass {PASSWORD}\nsave ""\n'
    )
    process = ServerProcess("redis", folder / "redis.log")
    process.spawn([str(PROGRAM), str(folder / "redis.conf")], cwd=folder, death_signal=signal.SIGKILL)

    def is_up() -> bool:
        try:
            with Redis(port=port, password=PASSWORD, ssl=True, ssl_cert_reqs="none") as admin:
                if admin.execute_command("CLUSTER INFO")["cluster_slots_assigned"] == "0":
                    admin.execute_command("CLUSTER ADDSLOTS", *range(SLOTS))
                return bool(admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        except Exception:  # it is starting
            return False

    await eventually(is_up, "the Cluster is up")
    yield f"rediss+cluster://:{PASSWORD}@127.0.0.1:{port}/?lanes=1"
    process.kill()


async def test_a_cluster_is_asked_and_used_over_tls(url: str, server_directory: Path) -> None:
    folder = server_directory / "cluster-tls"
    async with connect(f"{url}&ssl_ca_certs={folder / 'authority.crt'}") as redis:
        assert await redis.set("uniassist-any:{0}", "1")
    other = Authority(folder / "other", "other")
    async with connect(f"{url}&ssl_ca_certs={other.file}") as redis:
        with pytest.raises(AccessRefused) as caught:
            await redis.set("uniassist-any:{0}", "1")
    assert caught.value.words == "redis: refused (its certificate isn't trusted)"
