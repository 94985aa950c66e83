"""Faults behind a rollout that went well: seen by the verification, the drill or the watch."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable

import psutil
from redis import Redis

from tests.acceptance.base import Base
from tests.acceptance.faults import Case, Fault
from tests.acceptance.site import Ended
from tests.ports import free_port

WATCHING_SECONDS = 90.0
# One probe each, with its deadline of 2 s.
FLAPS, FLAP_SECONDS = 8, 5.0
OUTAGE_SECONDS = 30.0


def rolled_out(base: Base, case: Case, tag: str, env_file: object = None) -> None:
    ended = base.roll_out(tag, env_file)  # type: ignore[arg-type]
    case.state_is(base, ended, tag, "all-new")
    if ended.code != 0:
        case.wrong.append(f"rollout ended with {ended.code}: {' / '.join(ended.lines[-10:])}")


def dead_provider(base: Base, case: Case) -> None:
    """the gateway calls a provider that isn't there; every health is green"""
    nowhere = f"http://127.0.0.1:{free_port()}"
    env = base.site.write_env("provider.env", UNIASSIST_PLAN_PROVIDER_BASE_URL=nowhere)
    rolled_out(base, case, "v2", env)
    ended = base.release("verify", "--rev", "v2", env_file=env)
    case.noticed_by(ended, 13, "UNIASSIST_PLAN_PROVIDER_BASE_URL leads elsewhere")


def dead_worker(base: Base, case: Case) -> None:
    """the worker's loops never start; its port answers, and says that it is well"""
    code = (
        "from uniassist.delivery.engine import Engine\n"
        "async def _well(self): ...\n"
        "Engine.start = lambda self: None\n"
        "Engine.check_postgres = Engine.check_redis = Engine.check_loops = Engine.check_delivery = _well"
    )
    base.site.broken("v2-dead", "worker", code)
    rolled_out(base, case, "v2-dead")
    case.noticed_by(base.release("verify", "--rev", "v2-dead"), 13, "the worker doesn't consume")


def other_database(base: Base, case: Case) -> None:
    """the worker works on another database, migrated and empty: it is refused the stream of the first"""
    site = base.site
    other = site.postgres.url_for("elsewhere")
    site.inject("CREATE DATABASE elsewhere")
    env = site.write_env("elsewhere-db.env", DATABASE_URL=other)
    migrated = site.uniassist("db", "migrate", prefix=("env", f"DATABASE_URL={other}"))
    assert migrated.code == 0, (migrated.lines, env)
    site.broken("v2-otherdb", "worker", f'import os\nos.environ["DATABASE_URL"] = "{other}"')
    ended = base.roll_out("v2-otherdb")
    case.noticed_by(ended, 12, "[4/4] worker", "belongs to the database", "UNIASSIST_STREAM_PREFIX")
    case.state_is(base, ended, "v2-otherdb", "MIXED")
    # For a minute the first one's worker says that somebody else asked for its stream, and is not green.
    end = time.monotonic() + 150.0
    back = base.roll_back()
    while back.code != 20 and time.monotonic() < end:
        back = base.release("resume", "--yes")
    case.noticed_by(back, 20, "rolled back to v1 and verified")


def wrong_token(base: Base, case: Case) -> None:
    """the gateway's provider token is another than the one its callers have"""
    env = base.site.write_env("token.env", UNIASSIST_PROVIDER_CONTEXT_TOKEN="another-context-token-0001")
    rolled_out(base, case, "v2", env)
    ended = base.release("verify", "--rev", "v2", env_file=env)
    case.noticed_by(ended, 13, "STAGING_CONTEXT_TOKEN was refused (401)")


def other_prefix(base: Base, case: Case) -> None:
    """the new env set changes the streams' prefix and group; the drill is told the old ones"""
    env = base.site.write_env(
        "prefix.env", UNIASSIST_STREAM_PREFIX="elsewhere:", UNIASSIST_STREAM_GROUP="ua-elsewhere"
    )
    rolled_out(base, case, "v2", env)
    drill = base.site.uniassist("drill", "worker", "--mode", "live", env_file=base.good)
    # Not 2: a consumer of the same name is in the old group still, so that it looks like the worker's.
    case.noticed_by(drill, 40, "[1/4]")


def no_group(base: Base, case: Case) -> None:
    """the consumer group is destroyed while v2 runs: it heals by itself, no rollback"""
    rolled_out(base, case, "v2")
    with Redis.from_url(base.site.redis.url) as redis:
        redis.xgroup_destroy("uniassist:timeline:all", "ua-delivery")
    case.noticed_by(base.release("verify", "--rev", "v2"), 0, "consumed")
    with Redis.from_url(base.site.redis.url) as redis:
        groups = [group["name"] for group in redis.xinfo_groups("uniassist:timeline:all")]
    if b"ua-delivery" not in groups:
        case.wrong.append(f"the group isn't back: {groups}")


def deaf_worker(base: Base, case: Case) -> None:
    """the new worker ignores SIGTERM; the rollback has to be sure that it is gone"""
    code = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})"
    base.site.broken("v2-deaf", "worker", code)
    rolled_out(base, case, "v2-deaf")
    mine = listener(base.site.ports["worker"])
    ended = base.roll_back()
    case.noticed_by(ended, 20, "nothing of it runs")
    if mine is not None and psutil.pid_exists(mine):
        case.wrong.append(f"the deaf worker, process {mine}, still runs")


def listener(port: int) -> int | None:
    found = (c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN")
    return next((c.pid for c in found if c.pid), None)


def watched(base: Base, seconds: str, during: Callable[[], object], env_file: object = None) -> Ended:
    """A watch of v2, and what happens once its first round of checks was made."""

    async def both() -> Ended:
        state = base.site.home / "environments" / "staging" / "watch" / "state.json"
        state.unlink(missing_ok=True)  # of the watch before
        arguments = ("watch", "--rev", "v2", "--for", seconds)
        command = asyncio.create_task(asyncio.to_thread(base.release, *arguments, env_file=env_file))  # type: ignore[arg-type]
        end = time.monotonic() + WATCHING_SECONDS
        while not command.done() and time.monotonic() < end:
            if state.exists() and '"roundsOk": 1' in state.read_text():
                await asyncio.to_thread(during)
                break
            await asyncio.sleep(0.2)
        return await command

    return asyncio.run(both())


def dead_letters(base: Base, case: Case) -> None:
    """dead letters rise above what was agreed"""
    rolled_out(base, case, "v2")
    sql = (
        "INSERT INTO outbox_events (event_id, session_id, payload, status, attempts)"
        " SELECT %s || n, 'bad-release', '{}', 'dead_letter', 12 FROM generate_series(1, 40) n"
    )
    ended = watched(base, "3m", lambda: base.site.inject(sql, f"bad-{uuid.uuid4().hex}-"))
    base.site.inject("DELETE FROM outbox_events WHERE session_id = 'bad-release'")
    case.noticed_by(ended, 20, "TRIGGER (rate): dead_letter")


def frozen_service(base: Base, case: Case) -> None:
    """provider-plan is frozen (SIGSTOP): its port takes connections, and nothing answers for 3 minutes"""
    rolled_out(base, case, "v2")
    pid = listener(base.site.ports["provider-plan"])
    assert pid is not None
    ended = watched(base, "6m", lambda: psutil.Process(pid).send_signal(signal.SIGSTOP))
    case.noticed_by(ended, 20, "TRIGGER", "provider-plan")


def flapping(base: Base, case: Case) -> None:
    """provider-plan is frozen and goes on, every few seconds: a warning, no rollback"""
    rolled_out(base, case, "v2")
    pid = listener(base.site.ports["provider-plan"])
    assert pid is not None
    service = psutil.Process(pid)

    def turns() -> None:
        for _ in range(FLAPS):
            for number in (signal.SIGSTOP, signal.SIGCONT):
                service.send_signal(number)
                time.sleep(FLAP_SECONDS)

    case.noticed_by(watched(base, "110s", turns), 0, "provider-plan is flapping")


def redis_outage(base: Base, case: Case) -> None:
    """Redis goes away for half a minute during the watch: held and alerted, since a rollback doesn't mend it"""
    rolled_out(base, case, "v2")

    def away() -> None:
        base.site.redis.process.kill()
        time.sleep(OUTAGE_SECONDS)
        base.site.redis.start()

    try:
        ended = watched(base, "90s", away)
    finally:  # a server ends with the thread that started it: this one's stays
        base.site.redis.process.kill()
        base.site.redis.start()
    case.noticed_by(ended, 0, "ALERT", "redis")


FAULTS: dict[str, Fault] = {
    "provider dead behind a green health": dead_provider,
    "dead worker behind a live port": dead_worker,
    "worker on another database": other_database,
    "wrong secret": wrong_token,
    "stream prefix and group changed": other_prefix,
    "consumer group destroyed (NOGROUP)": no_group,
    "service that ignores SIGTERM": deaf_worker,
    "dead letters": dead_letters,
    "health that fails for 3 minutes": frozen_service,
    "flapping health": flapping,
    "Redis gone during the watch": redis_outage,
}
