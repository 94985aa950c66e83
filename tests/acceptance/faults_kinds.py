"""Kin of what misleads at night (`faults_night`): other states of servers, other full disks, files and proxies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from redis import Redis

from tests.acceptance.base import Base
from tests.acceptance.faults import Case, Fault
from tests.acceptance.faults_after import listener, rolled_out, watched
from tests.acceptance.faults_night import (
    file_of,
    read_only_postgres,
    refused_file,
    refused_value,
    server_after,
    server_before,
)
from tests.full_disk import disk, fill
from tests.integration.release.checks.front import Answer, front

_CLOCK_BACK = """\
import datetime as real

class Back(real.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) - real.timedelta(hours=1)

real.datetime = Back
"""


@contextmanager
def few_clients(base: Base) -> Iterator[None]:
    with Redis.from_url(base.site.redis.url) as redis:
        before = redis.config_get("maxclients")["maxclients"]
        redis.config_set("maxclients", 1)
        try:
            yield
        finally:
            redis.config_set("maxclients", before)


@contextmanager
def few_replicas(base: Base) -> Iterator[None]:
    with Redis.from_url(base.site.redis.url) as redis:
        redis.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            redis.config_set("min-replicas-to-write", 0)


@contextmanager
def another_password(base: Base) -> Iterator[None]:
    with Redis.from_url(base.site.redis.url) as redis:
        redis.config_set("requirepass", "changed-by-somebody")
        try:
            yield
        finally:
            redis.config_set("requirepass", "")


def stopped_server(pid_of: Callable[[Base], list[int]]) -> Callable[[Base], object]:
    @contextmanager
    def stopped(base: Base) -> Iterator[None]:
        pids = pid_of(base)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    return stopped


def _redis(base: Base) -> list[int]:
    return [found] if (found := listener(base.site.redis.port)) else []


def _postgres(base: Base) -> list[int]:
    return [found] if (found := listener(base.site.postgres.port)) else []


def wrong_password(base: Base, case: Case) -> None:
    """Redis got another password: the new env set may be at fault, so that a rollback is advised"""
    rolled_out(base, case, "v2")
    with another_password(base):
        ended = base.release("verify", "--rev", "v2")
    case.noticed_by(ended, 13, "redis: refused", "correct REDIS_URL", "safe: roll back")


def watch_of_read_only_postgres(base: Base, case: Case) -> None:
    """Postgres takes no writes for half a minute during the watch: held, no rollback"""
    rolled_out(base, case, "v2")

    def reads() -> None:
        with read_only_postgres(base):
            time.sleep(30.0)  # the outage itself

    case.noticed_by(watched(base, "90s", reads), 0, "ALERT: postgres is read-only")


def rollback_into_read_only_postgres(base: Base, case: Case) -> None:
    """somebody rolls back by hand, since Postgres takes no writes: it is named before and after"""
    rolled_out(base, case, "v2")
    with read_only_postgres(base):
        ended = base.release("rollback", "--yes", "--healthy-within", "8")
    case.noticed_by(ended, 21, "postgres: read-only", "no rollback mends that", "uniassist doctor")
    case.noticed_by(base.release("resume", "--yes"), 20, "rolled back to v1 and verified")


def on_a_full_disk(command: tuple[str, ...], doc: str) -> Fault:
    def fault(base: Base, case: Case) -> None:
        base.site.approve("v2", base.good)
        with disk(base.site.folder / "full", megabytes=1) as small:
            fill(small)
            ended = base.release(*command, "--state-dir", str(small / "records"))
        (base.site.folder / "full").rmdir()
        case.noticed_by(ended, 10, "is full", "make room there")
        case.untouched(base)

    fault.__doc__ = doc
    return fault


def full_temporary_files(base: Base, case: Case) -> None:
    """there is hardly any room among temporary files, where the gate exports the revision"""
    with disk(base.site.folder / "tmp", megabytes=4) as small:
        ended = base.release("gate", "--rev", "v2", prefix=("env", f"TMPDIR={small}"))
    (base.site.folder / "tmp").rmdir()
    case.noticed_by(ended, 10, "is full", "make room there")
    case.untouched(base)


def gate_of_two_variables(base: Base, case: Case) -> None:
    """the runbook's own line: nothing but the two servers"""
    servers = ("env", f"DATABASE_URL={base.site.postgres.url}", f"REDIS_URL={base.site.redis.url}")
    base.site.release_of("v2-two", lambda: base.site.append("src/uniassist/cli/services.py", "\n# two\n"))
    gate = base.site.uniassist("release", "gate", "--rev", "v2-two", prefix=servers)
    case.noticed_by(gate, 0, "green counts for no rollout", "add --env-file")
    case.noticed_by(base.release("rollout", "--rev", "v2-two", "--yes"), 10, "preflight")
    case.untouched(base)


def drill_after_the_rollback(base: Base, case: Case) -> None:
    """a live drill of what was rolled back to, taken for one of the release"""
    rolled_out(base, case, "v2")
    case.noticed_by(base.roll_back(), 20)
    drill = base.site.uniassist("drill", "worker", "--mode", "live", env_file=base.good)
    case.noticed_by(drill, 0, "updated=0")
    built = base.release("evidence", "build", "v2")
    case.noticed_by(built, 41, "it was made when this revision ran no more")


def clock_an_hour_back(base: Base, case: Case) -> None:
    """the tool's clock goes back by an hour between two verifications: the newer one counts"""
    rolled_out(base, case, "v2")
    first = base.release("verify", "--rev", "v2")
    folder = base.site.folder / "clock"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_CLOCK_BACK)
    second = base.release("verify", "--rev", "v2", prefix=("env", f"PYTHONPATH={folder}"))
    case.noticed_by(first, 0, "verified")
    case.noticed_by(second, 0, "verified")
    verified = sorted((base.site.home / "runs").glob("*-verify-*.json"), key=lambda path: path.stat().st_mtime)
    built = base.release("evidence", "build", "v2", "--json")
    case.says(built, verified[-1].stem)


def frozen_worker(base: Base, case: Case) -> None:
    """the new worker is frozen (SIGSTOP): verify names it, the rollback replaces it"""
    rolled_out(base, case, "v2")
    pid = listener(base.site.ports["worker"])
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    case.noticed_by(base.release("verify", "--rev", "v2"), 13, "worker doesn't answer")
    case.noticed_by(base.roll_back(), 20, "rolled back to v1 and verified")


def through(doc: str, words: str, change: Callable[[str, dict[str, str], Answer], Answer]) -> Fault:
    """A proxy before the gateway that changes answers."""

    def fault(base: Base, case: Case) -> None:
        with front(base.site.url("gateway"), change, streams=False) as url:
            env = base.site.write_env("proxy.env", STAGING_GATEWAY_BASE_URL=url)
            case.noticed_by(base.release("verify", "--rev", "v1", env_file=env), 13, words)
        case.untouched(base)

    fault.__doc__ = doc
    return fault


def _error_page(path: str, _headers: dict[str, str], answer: Answer) -> Answer:
    return (502, b"<html>Bad Gateway</html>") if path.startswith("/v0/stream") else answer


def _without_token(path: str, headers: dict[str, str], answer: Answer) -> Answer:
    return (401, b"{}") if path.startswith("/v0/context") else answer


def slow_for_the_watch(base: Base, case: Case) -> None:
    """/health of provider-plan takes 3 s, and a watch waits 2 s: verified, and said"""

    def slow(path: str, _headers: dict[str, str], answer: Answer) -> Answer:
        time.sleep(3.0 if path == "/health" else 0.0)  # the fault itself
        return answer

    with front(base.site.url("provider-plan"), slow) as url:
        env = base.site.write_env("slow.env", STAGING_PROVIDER_PLAN_BASE_URL=url)
        case.noticed_by(base.release("verify", "--rev", "v1", env_file=env), 0, "SLOW: /health took 3.")
    case.untouched(base)


def no_file(base: Base, case: Case) -> None:
    """--env-file names a file that isn't there, then a directory"""
    nowhere: Path = base.site.folder / "nowhere.env"
    case.noticed_by(base.release("preflight", "--rev", "v2", env_file=nowhere), 2, "can't read", "No such file")
    folder = base.site.folder
    case.noticed_by(base.release("preflight", "--rev", "v2", env_file=folder), 2, "can't read", "directory")
    case.untouched(base)


def placeholder(base: Base, case: Case) -> None:
    """one value is still the example's"""
    env = file_of(base, "example.env", lambda content: content + b"UNIASSIST_OTHER='<fill in>'\n")
    case.noticed_by(base.release("preflight", "--rev", "v2", env_file=env), 10, "UNIASSIST_OTHER", "placeholder")
    case.untouched(base)


def no_connections_left(base: Base, case: Case) -> None:
    """the role of DATABASE_URL may open no connection any more"""
    with psycopg.connect(base.site.postgres.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE crowded LOGIN PASSWORD 'crowded-01' CONNECTION LIMIT 0")
        url = base.site.postgres.url
        crowded = f"postgresql://crowded:crowded-01@{url.partition('@')[2]}"
        env = base.site.write_env("crowded.env", DATABASE_URL=crowded)
        ended = base.release("preflight", "--rev", "v2", env_file=env)
        connection.execute("DROP ROLE crowded")
    case.noticed_by(ended, 10, "postgres: too many connections")
    case.untouched(base)


FAULTS: dict[str, Fault] = {
    "env file in Latin-1": refused_file(
        "it isn't UTF-8", lambda content: content + b"NAME='caf\xe9'\n", "an editor saved it in Latin-1"
    ),
    "spaces around =": refused_file(
        "there is no NAME= in it", lambda content: content + b"LAMP = on\n", "somebody put spaces around ="
    ),
    "a variable set twice": refused_file(
        "is set a second time", lambda content: content + content.splitlines()[0] + b"\n", "a line was pasted twice"
    ),
    "env file that isn't there": no_file,
    "placeholder left": placeholder,
    "raw # in a password": refused_value(
        "its password has a raw #; write it as %23",
        "the password has a #",
        DATABASE_URL="postgresql://u:p#ss@127.0.0.1:1/x",
    ),
    "URL of another tool": refused_value(
        "DATABASE_URL", "the URL is one of SQLAlchemy's", DATABASE_URL="postgresql+asyncpg://u:p@127.0.0.1:1/x"
    ),
    "no connections left for the role": no_connections_left,
    "Redis without clients left before the rollout": server_before(
        few_clients, "redis: too many connections", "maxclients is reached"
    ),
    "Redis with too few replicas at the verification": server_after(
        few_replicas, "redis: read-only", "min-replicas-to-write isn't met"
    ),
    "Redis frozen at the verification": server_after(
        stopped_server(_redis), "redis: away", "it takes connections, and answers nothing"
    ),
    "Postgres frozen at the verification": server_after(
        stopped_server(_postgres), "postgres: away", "it takes connections, and answers nothing"
    ),
    "Redis with another password": wrong_password,
    "Postgres read-only during the watch": watch_of_read_only_postgres,
    "rollback by hand while Postgres is read-only": rollback_into_read_only_postgres,
    "preflight on a full disk": on_a_full_disk(("preflight", "--rev", "v2"), "the disk of the records is full"),
    "gate on a full disk": on_a_full_disk(("gate", "--rev", "v2"), "the disk of the records is full"),
    "rollout on a full disk": on_a_full_disk(
        ("rollout", "--rev", "v2", "--yes"), "the disk of the records is full"
    ),
    "temporary files full": full_temporary_files,
    "gate with two variables": gate_of_two_variables,
    "drill after the rollback": drill_after_the_rollback,
    "clock an hour back": clock_an_hour_back,
    "frozen worker": frozen_worker,
    "proxy with an error page for streams": through(
        "a proxy answers 502 for event streams", "event stream", _error_page
    ),
    "proxy that takes tokens away": through(
        "a proxy doesn't pass Authorization on", "STAGING_CONTEXT_TOKEN was refused (401)", _without_token
    ),
    "health that takes 3 s": slow_for_the_watch,
}
