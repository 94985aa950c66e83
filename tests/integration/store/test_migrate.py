import psycopg

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis
from uniassist.store import migrate


def test_a_new_database_is_brought_to_the_head_once(empty_database_url: str) -> None:
    assert migrate.status(empty_database_url).pending[0][:2] == ("0001", "expand")
    for _ in range(2):
        found = migrate.upgrade(empty_database_url)
        assert (found.current, found.pending) == (migrate.head_revision(), [])


def test_a_row_with_only_the_three_columns_gets_the_contracts_defaults(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO outbox_events (event_id, session_id, payload) VALUES ('e', 's', '{}')")
        row = connection.execute(
            "SELECT channel, status, attempts, max_attempts, next_retry_at <= now() FROM outbox_events"
        ).fetchone()
    assert row == ("timeline", "pending", 0, 12, True)


def test_a_postgres_that_was_killed_starts_again_with_its_rows(own_postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("INSERT INTO outbox_events (event_id, session_id) VALUES ('e', 's')")
    own_postgres.process.kill()
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT count(*) FROM outbox_events").fetchone() == (1,)


def test_redis_starts_again_empty(own_redis: EmbeddedRedis) -> None:
    own_redis.process.kill()
    own_redis.start()
    assert own_redis.process.running
