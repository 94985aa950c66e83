"""URLs of Postgres and Redis: each form is understood, or refused in one sentence, by all who read it the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.settings.environments import SERVICES, STAGING

from uniassist.cli import where
from uniassist.devstack import doctor
from uniassist.devstack import plan as plans
from uniassist.errors import AccessRefused, SettingsError
from uniassist.release.checks.servers import check_postgres, check_redis
from uniassist.release.env.check import check_env
from uniassist.release.report.checklist import CheckFailed
from uniassist.settings import mask_url, postgres_url, redis_url
from uniassist.store import migrate
from uniassist.store.server import pool
from uniassist.streams import client

PASSWORD = "pass-0123456789abcdef"
DATABASE = f"postgresql://me:{PASSWORD}@db.internal:5432/uniassist"
REDIS = f"redis://me:{PASSWORD}@redis.internal:6379/0"
SENTINELS = f"redis+sentinel://me:{PASSWORD}@s1.internal,s2.internal:1/main/0"

TAKEN = {
    "DATABASE_URL": [
        DATABASE,
        f"postgres://me:{PASSWORD}@[2001:db8::1]:5433/x",
        f"postgresql://me:{PASSWORD}@[2001:db8::1]:5433,db2.internal/x?target_session_attrs=primary",
        "postgresql://me:p%40%2F%25%20x@db.internal/x",
        f"postgresql://me:{PASSWORD}@%2Fvar%2Frun%2Fpostgresql/x",
        f"postgresql:///x?host=/var/run/postgresql&port=5433&user=me&password={PASSWORD}",
        f"{DATABASE}?host=db1.internal,db2.internal&port=1,2",
        f"{DATABASE}?sslmode=require&channel_binding=prefer&connect_timeout=10&application_name=x",
        f"{DATABASE}?keepalives=1&keepalives_idle=30&tcp_user_timeout=9000&options=-c%20search_path%3Dx",
        f"{DATABASE}?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&sslnegotiation=direct",
        f"{DATABASE}?sslrootcert=system",
    ],
    "REDIS_URL": [
        REDIS,
        f"rediss://:{PASSWORD}@[2001:db8::1]/3?ssl_ca_certs=/ca.pem&ssl_cert_reqs=CERT_NONE",
        f"rediss://:{PASSWORD}@redis.internal?db=3&ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_check_hostname=false",
        "redis://:p%40%2F%25%20x@redis.internal",
        f"redis://redis.internal/0?password={PASSWORD}&socket_timeout=1&client_name=x&protocol=3",
        "unix:///run/redis.sock?db=1",
        f"unix://me:{PASSWORD}@/run/redis.sock",
        f"{SENTINELS}?sentinel_username=x&sentinel_password={PASSWORD}",
        f"redis+cluster://me:{PASSWORD}@n1.internal,n2.internal:7000",
        f"rediss+cluster://me:{PASSWORD}@n1.internal:1,[2001:db8::1]:2/0?ssl_ca_certs=/ca.pem&lanes=32",
        f"{REDIS}?lanes=1",
        SENTINELS.replace("redis+", "rediss+").replace("s1.internal", "[2001:db8::1]:2") + "?ssl_ca_certs=/ca.pem",
    ],
}
REFUSED = {
    "DATABASE_URL": {
        f"{DATABASE}?channel_binding=require": "channel_binding=require isn't supported; only prefer or disable",
        f"{DATABASE}?sslmode=sometimes": "sslmode=sometimes isn't supported; only disable or allow or prefer",
        f"{DATABASE}?target_session_attrs=standby": "target_session_attrs=standby isn't supported; only any or",
        f"{DATABASE}?connect_timeout=soon": "connect_timeout: expected whole seconds, got 'soon'",
        f"{DATABASE}?search_path=x": "search_path is no parameter of such a URL; one of the server's is set by opt",
        f"{DATABASE}?service=x": "service isn't supported; write out what it stands for",
        f"{DATABASE}?hostaddr=10.0.0.1": "hostaddr isn't supported; write the address as the host",
        f"{DATABASE}?dbname=other": "dbname isn't supported; write it as the path",
        f"{DATABASE}?require_auth=md5": "require_auth isn't supported",
        f"{DATABASE}?sslmode": "expected name=value after the question mark, separated by &",
        f"{DATABASE}?host=a,b&port=1,2,3": "3 ports for 2 hosts",
        f"{DATABASE}?host=a,,b": "a host is missing beside a comma",
        f"{DATABASE}?host=a&port=many": "port: expected a number from 1 to 65535, got 'many'",
        f"{DATABASE}?sslrootcert=system&sslmode=require": "sslrootcert=system isn't supported with sslmode=require",
        f"{DATABASE}?sslnegotiation=direct": "sslnegotiation=direct needs sslmode=require, verify-ca or",
        "postgresql://me:50%off-0123456789@db.internal/x": "a % that stands for itself is written %25",
        f"postgresql://me:{PASSWORD}@ss@db.internal/x": "its password has a raw @; write it as %40",
        "postgresql://me:pass/0123456789@db.internal/x": "its password has a raw /; write it as %2F",
        f"postgresql://me:{PASSWORD}@[2001:db8::1/x": "expected a URL such as postgresql://",
    },
    "REDIS_URL": {
        f"{REDIS}?decode_responses=yes": "decode_responses=yes isn't supported; only false or 0 or no or off",
        f"{REDIS}?no_such=1": "no_such is no parameter of such a URL",
        f"{REDIS}?ssl_ca_certs=/ca.pem": "ssl_ca_certs is for TLS, which is spoken with rediss:// only",
        f"{REDIS.replace('redis:', 'rediss:')}?ssl_cert_reqs=maybe": "ssl_cert_reqs=maybe isn't supported; only",
        f"{REDIS}?sentinel_password=x": "sentinel_password is for Sentinels: redis+sentinel://HOST:PORT",
        f"{REDIS}?db=one": "expected the number of the database, got 'one'",
        f"redis://:{PASSWORD}@redis.internal/main": "expected the number of the database, got 'main'",
        f"redis://:{PASSWORD}@a.internal:1,b.internal:2/0": "expected a URL such as redis://",
        f"redis+cluster://:{PASSWORD}@n1.internal,n2.internal/1": "a Cluster has the database 0 only",
        f"redis+cluster://:{PASSWORD}@n1.internal?sentinel_password=x": "sentinel_password is for Sentinels",
        f"{REDIS}?lanes=33": "lanes: expected a number from 1 to 32, got '33'",
        f"{REDIS}?lanes=many": "lanes: expected a number from 1 to 32, got 'many'",
        "redis+sentinel://s1.internal": "expected redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DATABASE",
        f"redis+sentinel://:{PASSWORD}@s1.internal:x/main": "expected a URL such as redis://",
        f"unix://:{PASSWORD}@redis.internal/0": "expected unix:///path/of/socket?db=0",
        "redis://:pass#0123456789@redis.internal/0": "its password has a raw #; write it as %23",
    },
}
ALL_REFUSED = [(name, url, said) for name, forms in REFUSED.items() for url, said in forms.items()]


def of_services(name: str, url: str) -> str:
    """What all that use the server say, which must be the same."""
    said = set()
    for service in ("gateway", "worker", "adapter-wechat"):
        with pytest.raises(SettingsError) as caught:
            SERVICES[service]({**STAGING, name: url})
        said.add(str(caught.value))
    (sentence,) = said
    return sentence


def of_preflight(name: str, url: str) -> str:
    with pytest.raises(CheckFailed) as caught:
        check_env({**STAGING, name: url}, "staging", is_file=True)
    return str(caught.value)


def of_doctor(name: str, url: str) -> str:
    (finding,) = doctor.settings({**STAGING, name: url})
    assert finding.level == "fail"
    return finding.said


def of_up(name: str, url: str) -> str:
    with pytest.raises(SettingsError) as caught:
        plans.read({name: url})
    return str(caught.value)


@pytest.mark.parametrize(("name", "url", "said"), ALL_REFUSED)
def test_what_services_refuse_is_refused_by_all_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str, said: str
) -> None:
    sentence = of_services(name, url)
    assert sentence.startswith(f"{name}: {said}")
    assert "\n" not in sentence
    assert PASSWORD not in sentence
    for other in (of_preflight, of_doctor, of_up):
        assert sentence in other(name, url), other
    if name == "DATABASE_URL":  # db status, outbox …
        monkeypatch.setenv(name, url)
        with pytest.raises(SettingsError) as caught:
            where.database_url()
        assert str(caught.value) == sentence


@pytest.mark.parametrize(("name", "url"), [(name, url) for name, urls in TAKEN.items() for url in urls])
def test_what_services_take_is_taken_by_all(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    values = {**STAGING, name: url}
    for service in ("gateway", "worker", "adapter-wechat"):
        SERVICES[service](values)
    check_env(values, "staging", is_file=True)
    assert [finding.level for finding in doctor.settings(values)] == ["ok"]
    plans.read({name: url})
    assert PASSWORD not in mask_url(url)
    if name == "DATABASE_URL":
        monkeypatch.setenv(name, url)
        assert where.database_url() == url


def test_what_is_read_of_postgres() -> None:
    found = postgres_url.parsed(
        "postgresql://me:p%40@[2001:db8::1]:5433,db2,%2Frun%2Fpg:1/my%20db"
        "?connect_timeout=3&application_name=mine&options=-c%20a%3Db+c&sslmode=prefer&sslmode=require"
    )
    assert found.hosts == (("2001:db8::1", 5433), ("db2", 5432), ("/run/pg", 1))
    assert (found.connect_seconds, found.target, found.application_name) == (3.0, "read-write", "mine")
    assert found.dsn == "postgresql://me:p%40@/my%20db?options=-c%20a%3Db%2Bc&sslmode=require"
    assert "p%40" not in repr(found)
    one = postgres_url.parsed("postgresql://db/x?connect_timeout=0")
    assert (one.hosts, one.connect_seconds, one.target) == ((("db", 5432),), None, None)
    assert postgres_url.parsed("postgresql:///x").hosts == ()
    assert postgres_url.parsed("postgresql://db/x?sslrootcert=system").is_verifying


def test_what_is_read_of_redis() -> None:
    one = redis_url.parsed("rediss://me:p%40@[2001:db8::1]/3?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=no")
    assert (one.hosts, one.database, one.user, one.password) == ((("2001:db8::1", 6379),), 3, "me", "p@")
    assert (one.is_tls, one.certificate_checks, one.is_checking_host) == (True, "none", False)
    assert "p@" not in repr(one)
    asked = redis_url.parsed("redis+sentinel://:p@a,b:1/ma%20in/2?sentinel_password=q%40")
    assert asked.hosts == (("a", 26379), ("b", 1))
    assert (asked.service, asked.database, asked.sentinel_password) == ("ma in", 2, "q@")
    socket = redis_url.parsed("unix:///run/a%20b.sock?db=1")
    assert (socket.socket, socket.database, socket.hosts) == ("/run/a b.sock", 1, ())


def by_check(check: Callable[[str], object]) -> Callable[[str], str]:
    def said(url: str) -> str:
        with pytest.raises((CheckFailed, AccessRefused)) as caught:
            check(url)
        return str(caught.value)

    return said


POSTGRES_LOOKS: Mapping[str, Callable[[str], str]] = {
    "preflight": by_check(lambda url: asyncio.run(check_postgres(url))),
    "doctor": lambda url: doctor.database(url).said,
    "db status": by_check(migrate.status),
    "db migrate": by_check(migrate.upgrade),
}
REDIS_LOOKS: Mapping[str, Callable[[str], str]] = {
    "preflight": by_check(lambda url: asyncio.run(check_redis(url))),
    "doctor": lambda url: doctor.streams(url).said,
}
FILES = [
    ("sslmode=verify-full", "sslmode=verify-full needs sslrootcert"),
    ("sslmode=verify-full&sslrootcert={folder}/nowhere", "sslrootcert: {folder}/nowhere isn't there; put it there"),
    ("sslmode=verify-ca&sslrootcert={folder}/text", "sslrootcert: {folder}/text holds no certificate in PEM"),
    ("sslmode=require&sslrootcert={folder}", "sslrootcert: {folder} can't be read"),
    ("sslmode=require&sslcert={folder}/nowhere&sslkey={folder}/text", "sslcert: {folder}/nowhere isn't there"),
    ("sslmode=require&sslcert={folder}/text&sslkey={folder}/text", "sslcert and sslkey: {folder}/text and"),
]
REDIS_FILES = [
    (
        "ssl_ca_certs={folder}/nowhere",
        "ssl_ca_certs: {folder}/nowhere isn't there; put it there, or correct the path",
    ),
    ("ssl_ca_certs={folder}/text", "ssl_ca_certs: {folder}/text holds no certificate in PEM"),
    ("ssl_ca_path={folder}/nowhere", "ssl_ca_path: {folder}/nowhere is no folder"),
    ("ssl_certfile={folder}/text", "ssl_certfile and ssl_keyfile: {folder}/text and"),
    ("ssl_keyfile={folder}/text", "ssl_keyfile needs ssl_certfile"),
    ("ssl_ciphers=none-such", "ssl_ciphers: none of none-such is known here"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "text").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("query", "said"), FILES)
def test_a_file_of_postgres_that_cannot_be_used_keeps_services_from_starting(
    folder: Path, query: str, said: str
) -> None:
    url, said = f"{DATABASE}?{query.format(folder=folder)}", said.format(folder=folder)
    with pytest.raises(SettingsError) as caught:
        asyncio.run(pool.create_pool(url, application_name="test"))
    assert str(caught.value).startswith(f"DATABASE_URL: {said}")
    for name, look in POSTGRES_LOOKS.items():
        assert str(caught.value).removeprefix("DATABASE_URL: ") in look(url), name


@pytest.mark.parametrize(("query", "said"), REDIS_FILES)
def test_a_file_of_redis_that_cannot_be_used_keeps_services_from_starting(
    folder: Path, query: str, said: str
) -> None:
    url, said = f"rediss://redis.internal?{query.format(folder=folder)}", said.format(folder=folder)
    with pytest.raises(SettingsError) as caught:
        client.create_client(url)
    assert str(caught.value).startswith(f"REDIS_URL: {said}")
    for name, look in REDIS_LOOKS.items():
        assert str(caught.value).removeprefix("REDIS_URL: ") in look(url), name
