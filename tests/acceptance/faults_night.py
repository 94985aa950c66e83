"""What misleads at night: env files as people write them, servers that only read, full disks, other directories.

Each is named by the first command that meets it, with what mends it; none is answered with a rollback that mends
nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from tests.acceptance.base import Base
from tests.acceptance.faults import Case, Fault
from tests.acceptance.faults_after import rolled_out, watched
from tests.full_disk import disk, fill
from tests.integration.release.checks.front import Answer, front
from tests.standbys import set_read_only
from uniassist.store import release_lock

_KEY, _GROUP = "uniassist:timeline:all", "ua-delivery"


def file_of(base: Base, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The good env file, as somebody's editor left it."""
    path = base.site.folder / name
    path.write_bytes(change(base.good.read_bytes()))
    return path


def refused_file(words: str, change: Callable[[bytes], bytes], doc: str) -> Fault:
    def fault(base: Base, case: Case) -> None:
        ended = base.release("preflight", "--rev", "v2", env_file=file_of(base, "written.env", change))
        case.noticed_by(ended, 2, words)
        case.untouched(base)

    fault.__doc__ = doc
    return fault


def refused_value(words: str, doc: str, **changed: str) -> Fault:
    def fault(base: Base, case: Case) -> None:
        env = base.site.write_env("value.env", **changed)
        case.noticed_by(base.release("preflight", "--rev", "v2", env_file=env), 10, words)
        case.untouched(base)

    fault.__doc__ = doc
    return fault


def wrong_tag(kind: str, what: str) -> Fault:
    def fault(base: Base, case: Case) -> None:
        base.site.git("tag", "-f", f"v2-{kind}", what)
        case.noticed_by(base.release("preflight", "--rev", f"v2-{kind}"), 10, f"is the tag of a {kind}")
        case.untouched(base)

    fault.__doc__ = f"the tag is of a {kind}"
    return fault


def forgotten_file(base: Base, case: Case) -> None:
    """--env-file was forgotten, after a preflight with it"""
    base.release("preflight", "--rev", "v2")
    ended = base.site.uniassist("release", "rollout", "--rev", "v2", "--yes")
    case.noticed_by(ended, 10, "you gave no --env-file; the preflight was made with", "--env-file")
    case.untouched(base)


@contextmanager
def read_only_postgres(base: Base) -> Iterator[None]:
    set_read_only(base.site.postgres, to=True)
    try:
        yield
    finally:
        set_read_only(base.site.postgres, to=False)


@contextmanager
def full_redis(base: Base) -> Iterator[None]:
    with Redis.from_url(base.site.redis.url) as redis:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", 1)
        try:
            yield
        finally:
            redis.config_set("maxmemory", 0)


@contextmanager
def replica_redis(base: Base) -> Iterator[None]:
    with Redis.from_url(base.site.redis.url) as redis:
        redis.replicaof("127.0.0.1", "1")
        try:
            yield
        finally:
            redis.replicaof("NO", "ONE")


def server_before(fault_of: Callable[[Base], object], words: str, doc: str) -> Fault:
    def fault(base: Base, case: Case) -> None:
        with fault_of(base):  # type: ignore[attr-defined]
            case.noticed_by(base.release("preflight", "--rev", "v2"), 10, words)
        case.untouched(base)

    fault.__doc__ = doc
    return fault


def server_after(fault_of: Callable[[Base], object], words: str, doc: str) -> Fault:
    def fault(base: Base, case: Case) -> None:
        rolled_out(base, case, "v2")
        with fault_of(base):  # type: ignore[attr-defined]
            ended = base.release("verify", "--rev", "v2")
        case.noticed_by(ended, 13, words, "no rollback mends that", "next: ")
        if "safe: roll back" in ended.said:
            case.wrong.append("it advises a rollback that mends nothing")

    fault.__doc__ = doc
    return fault


def rollback_into_full_redis(base: Base, case: Case) -> None:
    """somebody rolls back by hand, since Redis is full: it is named before and after, with what mends it"""
    rolled_out(base, case, "v2")
    with full_redis(base):
        case.noticed_by(base.roll_back(), 21, "redis: full", "no rollback mends that", "uniassist doctor")
    case.noticed_by(base.release("resume", "--yes"), 20, "rolled back to v1 and verified")


def watch_of_full_redis(base: Base, case: Case) -> None:
    """Redis is full for half a minute during the watch, and answers pings: held, no rollback"""
    rolled_out(base, case, "v2")

    def full() -> None:
        with full_redis(base):
            time.sleep(30.0)  # the outage itself

    case.noticed_by(watched(base, "90s", full), 0, "ALERT: redis is full")


def rollback_on_a_full_disk(base: Base, case: Case) -> None:
    """the disk of the runs is full: it rolls back, says so, and its evidence stays incomplete"""
    rolled_out(base, case, "v2")
    runs = base.site.home / "runs"
    aside = runs.rename(runs.with_name("runs-of-before"))
    with disk(runs, megabytes=1) as small:
        fill(small)
        ended = base.roll_back()
    runs.rmdir()
    aside.rename(runs)
    case.noticed_by(ended, 20, "NOT recorded", "the evidence of this rollback is INCOMPLETE")
    case.noticed_by(base.release("evidence", "build", "v2"), 41, "The rollback's own record")


def second_directory(base: Base, case: Case) -> None:
    """a second state directory of the same environment rolls out beside the first"""
    other = base.site.folder / "second"
    base.site.approve("v2", base.good)
    subprocess.run(["cp", "-r", str(base.site.home / "commits"), f"{other}-commits"], check=True)
    other.mkdir(exist_ok=True)
    Path(f"{other}-commits").rename(other / "commits")
    ended = base.release("rollout", "--rev", "v2", "--yes", "--state-dir", str(other))
    case.noticed_by(ended, 32, "keeper of another state directory", "nothing was touched")
    case.untouched(base)


def lock_from_elsewhere(base: Base, case: Case) -> None:
    """another host works on the same database"""
    base.site.approve("v2", base.good)
    with release_lock.held(base.site.postgres.url, "kim@desk/7: rollout of v7"):
        ended = base.release("rollout", "--rev", "v2", "--yes")
    case.noticed_by(ended, 30, "locked from another directory or host", "kim@desk/7: rollout of v7")
    case.untouched(base)


def frozen_keeper(base: Base, case: Case) -> None:
    """the keeper of the gateway is frozen (SIGSTOP); a rollout replaces it"""
    lock = base.site.home / "environments/staging/local/services/gateway/keeper.lock"
    pid = int(lock.read_text())
    os.kill(pid, signal.SIGSTOP)
    case.noticed_by(base.release("status"), 0, "its keeper hangs", f"kill -CONT {pid}")
    rolled_out(base, case, "v2")


def proxy_that_keeps_streams_back(base: Base, case: Case) -> None:
    """a proxy before the gateway passes event streams on when they are over, which is never"""

    def as_it_is(_path: str, _headers: dict[str, str], answer: Answer) -> Answer:
        return answer

    with front(base.site.url("gateway"), as_it_is, keeps_streams_back=True) as url:
        env = base.site.write_env("proxy.env", STAGING_GATEWAY_BASE_URL=url)
        case.noticed_by(base.release("verify", "--rev", "v1", env_file=env), 13, "does a proxy between")
    case.untouched(base)


def slow_answer(base: Base, case: Case) -> None:
    """/health of adapter-wechat takes 1.5 s: verified, and said"""

    def slow(path: str, _headers: dict[str, str], answer: Answer) -> Answer:
        time.sleep(1.5 if path == "/health" else 0.0)  # the fault itself
        return answer

    with front(base.site.url("adapter-wechat"), slow) as url:
        env = base.site.write_env("slow.env", STAGING_ADAPTER_WECHAT_BASE_URL=url)
        case.noticed_by(base.release("verify", "--rev", "v1", env_file=env), 0, "SLOW: /health took 1.")
    case.untouched(base)


def second_group(base: Base, case: Case) -> None:
    """a living worker's consumer reads in a second group"""
    with Redis.from_url(base.site.redis.url) as redis:
        consumer = redis.xinfo_consumers(_KEY, _GROUP)[0]["name"]
        redis.xgroup_create(_KEY, "second", id="0")
        redis.xreadgroup("second", consumer, {_KEY: ">"}, count=1)
        ended = base.release("verify", "--rev", "v1")
        redis.xgroup_destroy(_KEY, "second")
    case.noticed_by(ended, 13, "read in 2 groups")
    case.untouched(base)


def stopped_by_hand(base: Base, case: Case) -> None:
    """all services are stopped for maintenance: status says start, and start does it"""
    case.noticed_by(base.release("stop", "--yes"), 0, "[1/4] stop worker")
    case.noticed_by(base.release("status"), 0, "uniassist release start")
    case.noticed_by(base.release("start", "--yes"), 0, "[4/4] start worker")
    case.untouched(base)


def open_incident(base: Base, case: Case) -> None:
    """a rollback is over, and nobody has named its cause"""
    rolled_out(base, case, "v2")
    case.noticed_by(base.roll_back(), 20, "the incident is open")
    case.noticed_by(base.release("status"), 0, "uniassist release incident close")


def _bare(content: bytes) -> bytes:
    return content + b"LAMP=two words\n"


FAULTS: dict[str, Fault] = {
    "env file with a byte order mark": refused_file(
        "byte order mark", lambda content: b"\xef\xbb\xbf" + content, "an editor put a byte order mark before it"
    ),
    "env file with Windows line ends": refused_file(
        "line ends of Windows", lambda content: content.replace(b"\n", b"\r\n"), "it was edited on Windows"
    ),
    "value without quotes": refused_file(
        "put the value of LAMP into single quotes", _bare, "a line says two words"
    ),
    "quote that isn't closed": refused_file(
        "the quote that begins the value of LAMP isn't closed",
        lambda content: content + b"LAMP='on\n",
        "a quote is open",
    ),
    "raw @ in a password": refused_value(
        "its password has a raw @; write it as %40",
        "the password has an @",
        REDIS_URL="redis://:p@ss@127.0.0.1:1/0",
    ),
    "raw / in a password": refused_value(
        "its password has a raw /; write it as %2F", "the password has a /", REDIS_URL="redis://:p/ss@127.0.0.1:1/0"
    ),
    "missing sslrootcert": refused_value(
        "sslrootcert: /nowhere/ca.crt isn't there",
        "sslrootcert names a file that isn't there",
        DATABASE_URL="postgresql://u:p@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nowhere/ca.crt",
    ),
    "tag of a tree": wrong_tag("tree", "v2^{tree}"),
    "tag of a blob": wrong_tag("blob", "v2:pyproject.toml"),
    "forgotten --env-file": forgotten_file,
    "Postgres read-only before the rollout": server_before(read_only_postgres, "read-only", "it takes no writes"),
    "Redis full before the rollout": server_before(
        full_redis, "redis: full", "maxmemory is reached; it answers pings"
    ),
    "Redis a replica before the rollout": server_before(replica_redis, "redis: read-only", "it replicates another"),
    "Postgres read-only at the verification": server_after(
        read_only_postgres, "postgres: read-only", "it takes no writes once v2 runs"
    ),
    "Redis full at the verification": server_after(full_redis, "redis: full", "it is full once v2 runs"),
    "rollback by hand while Redis is full": rollback_into_full_redis,
    "Redis full during the watch": watch_of_full_redis,
    "rollback with the disk of its record full": rollback_on_a_full_disk,
    "second state directory": second_directory,
    "lock held from another host": lock_from_elsewhere,
    "frozen keeper": frozen_keeper,
    "proxy that keeps event streams back": proxy_that_keeps_streams_back,
    "health that takes 1.5 s": slow_answer,
    "workers in two groups": second_group,
    "stopped by hand": stopped_by_hand,
    "incident left open": open_incident,
}
