"""Redis over TLS: each fault of the server's certificate in words that say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.certificates import HOUR, Authority
from tests.integration.delivery.asking import health
from tests.integration.delivery.outbox_rows import opened
from tests.processes import ServiceProcess
from tests.server_faults import Talker, proof_of_writing, redis_refuses
from tests.tls_front import Front, front
from tests.waiting import eventually

from uniassist.devstack import doctor
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.errors import AccessRefused, ServerFault
from uniassist.streams.client import connect
from uniassist.streams.proof import prove_writing

UNTRUSTED = "redis: refused (its certificate isn't trusted)"
OTHER_HOST = "redis: refused (its certificate is for another host)"


class Behind:
    """A server behind TLS; its authority is trusted unless `url` says otherwise."""

    def __init__(self, front: Front, authority: Authority) -> None:
        self.front = front
        self.authority = authority

    def url(self, host: str = "127.0.0.1", **more: str) -> str:
        said = {"ssl_ca_certs": str(self.authority.file), **more}
        query = "&".join(f"{name}={value}" for name, value in said.items() if value)
        return f"rediss://{host}:{self.front.port}/0?{query}"


@pytest.fixture(scope="module")
def authority(server_directory: Path) -> Authority:
    return Authority(server_directory / "redis-tls")


@pytest.fixture
async def behind(redis_server: EmbeddedRedis, authority: Authority) -> AsyncIterator[Behind]:
    async with front(redis_server.port, authority.issue("good", "127.0.0.1"), at_once=True) as tls:
        yield Behind(tls, authority)


def shown(name: str, *hosts: str, **times: object) -> Callable[[Behind], str]:
    def show(behind: Behind) -> str:
        behind.front.show(behind.authority.issue(name, *hosts, **times))  # type: ignore[arg-type] # of `issue`
        return behind.url()

    return show


def other_authority(behind: Behind) -> str:
    return behind.url(ssl_ca_certs=str(Authority(behind.authority.file.parent, "other").file))


FAULTS: dict[str, tuple[Callable[[Behind], str], str, str]] = {
    "another authority": (other_authority, UNTRUSTED, "ssl_ca_certs names the root certificate to trust"),
    "no authority": (lambda behind: behind.url(ssl_ca_certs=""), UNTRUSTED, "ssl_ca_certs names the root"),
    "expired": (
        shown("expired", "127.0.0.1", ends=-HOUR),
        "redis: refused (its certificate has expired)",
        "renew it on the server",
    ),
    "not yet": (
        shown("early", "127.0.0.1", begins=HOUR, ends=2 * HOUR),
        "redis: refused (its certificate isn't valid yet)",
        "look at the clocks of both hosts",
    ),
    "another host": (
        lambda behind: behind.url("localhost"),
        OTHER_HOST,
        "write the host in REDIS_URL as the certificate names it",
    ),
    "another address": (
        shown("elsewhere", "10.0.0.1"),
        OTHER_HOST,
        "write the host in REDIS_URL as the certificate names it",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_of_a_certificate_is_named_with_what_to_do(behind: Behind, fault: str) -> None:
    make, words, remedy = FAULTS[fault]
    await redis_refuses(make(behind), words, remedy)


async def test_plain_text_is_told_from_tls(redis_url: str) -> None:
    async with connect(redis_url.replace("redis://", "rediss://")) as redis:
        with pytest.raises(ServerFault) as caught:
            await prove_writing(redis)
    assert caught.value.words in ("redis: refused (no TLS at this port)", "redis: away (no answer in time)")


async def test_a_port_that_answers_as_tls_does_is_told_from_redis() -> None:
    talker = Talker(b"\x15\x03\x03\x00\x02\x02\x46")  # the alert of a fatal protocol_version
    async with connect(f"redis://127.0.0.1:{talker.port}/0") as redis:
        with pytest.raises(AccessRefused) as caught:
            await prove_writing(redis)
    talker.close()
    assert caught.value.words == "redis: refused (no Redis)"
    assert caught.value.said.endswith("; a port that wants TLS needs rediss://")


@pytest.mark.parametrize(
    "more", [{"ssl_cert_reqs": "CERT_NONE", "ssl_ca_certs": ""}, {"ssl_check_hostname": "false"}]
)
async def test_what_is_to_be_checked_may_be_said(behind: Behind, more: dict[str, str]) -> None:
    async with connect(behind.url("localhost", **more)) as redis:
        await proof_of_writing(redis)


async def test_services_deliver_over_it_and_say_so_when_the_certificate_expires(
    service: Callable[..., ServiceProcess], behind: Behind, database_url: str, redis_url: str
) -> None:
    worker = service("worker", DATABASE_URL=database_url, REDIS_URL=behind.url())
    async with opened(database_url, redis_url) as outbox:
        await outbox.write_turn("s", 3)
        await outbox.all_consumed()
    assert (await asyncio.to_thread(doctor.streams, behind.url())).level == "ok"
    behind.front.show(behind.authority.issue("expired", "127.0.0.1", ends=-HOUR))
    await behind.front.cut()  # so that all is opened anew

    async def tells() -> bool:
        status, checks = await health(worker)
        return (status, checks["redis"]) == (503, "refused (its certificate has expired)")

    await eventually(tells, "it says so", 20)
