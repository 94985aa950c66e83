"""Every line that says what comes next runs as it stands, in the same shell, from the first release to the last."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from tests.integration.release.commands import Ended
from tests.integration.release.gate.test_preflight import flat
from tests.integration.release.rollout.little_project import Project, project
from tests.integration.release.terminal import suggested, typed

from uniassist.devstack.postgres import EmbeddedPostgres
from uniassist.devstack.redis import EmbeddedRedis

# The command or an option of it is wrong, can't be run, or isn't there.
WRONG = (2, 126, 127)


@pytest.fixture(scope="module")
def servers(postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis) -> Iterator[tuple[str, str]]:
    with psycopg.connect(postgres_server.url_for("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE suggested TEMPLATE template_uniassist")
        yield postgres_server.url_for("suggested"), redis_server.url.removesuffix("/0") + "/5"
        connection.execute("DROP DATABASE suggested WITH (FORCE)")


@pytest.fixture(scope="module")
def place(servers: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One for all: a release goes from its first line to its last, as the tests below do."""
    made = project(tmp_path_factory.mktemp("suggested"), *servers)
    yield made
    made.stop()


class Followed:
    """`ran`: what was suggested, with how it ended; each once.

    But for `resume` after a rollback: it would wait once more for services that are none.
    """

    def __init__(self, place: Project) -> None:
        self._folder = place.command.folder
        self.ran: dict[str, Ended] = {}

    def follow(self, first: str, most: int) -> Ended:
        """Type `first`, and then what it and what follows suggest. How `first` ended."""
        started = typed(first, self._folder)
        waiting = suggested(started)
        while waiting and most > 0:
            line = waiting.pop(0)
            if line in self.ran or "release resume" in line:
                continue
            most -= 1
            self.ran[line] = ended = typed(line, self._folder)
            assert ended.code not in WRONG, (line, ended.said)
            waiting += suggested(ended)
        return started

    def said(self, verb: str) -> str:
        return flat(" ".join(ended.said for line, ended in self.ran.items() if f"release {verb}" in line))


def test_a_forgotten_env_file_is_named_with_the_one_to_give(place: Project) -> None:
    ended = place.command("release", "rollout", "--rev", "v1", "--yes")
    assert ended.code == 10, ended.said
    assert f"you gave no --env-file; the preflight was made with {place.env_file}" in flat(ended.err)
    (line,) = suggested(ended)
    assert typed(line, place.command.folder).code == 0


def test_a_gate_that_counts_for_nothing_says_so_at_once(place: Project, servers: tuple[str, str]) -> None:
    """The runbook's own line, with nothing but the two servers."""
    database_url, redis_url = servers
    place.repo.write("README", "no preflight saw this one")
    place.repo.commit(tag="v7")
    ended = place.command("release", "gate", "--rev", "v7", DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert ended.code == 0, ended.said
    said = flat(ended.out)
    assert said.index("green counts for no rollout") < said.index("[1/3]")
    assert "WECHAT_TOKEN" in said
    assert "add --env-file FILE" in said

    known = place.command("release", "gate", "--rev", "v1", DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert f"you gave no --env-file; the preflight was made with {place.env_file}" in flat(known.out)
    (line,) = suggested(known)
    assert f"gate green it counts for a rollout with the same env set, {place.env_file}" in flat(
        typed(line, place.command.folder).out
    )


@pytest.mark.timeout(300)  # eight commands, one after the other
def test_what_a_first_release_suggests_runs_in_the_same_shell(place: Project) -> None:
    """With nothing but the one --env-file of the first command."""
    followed = Followed(place)
    first = f"uniassist release preflight --rev v1 --env-file {place.env_file}"
    assert followed.follow(first, 7).code == 0
    for verb in ("gate", "plan", "rollout", "verify"):
        assert followed.said(verb), (verb, {line: ended.said for line, ended in followed.ran.items()})
    # Its services do nothing; that it asked them at all is what a derived URL is for.
    assert "NOT verified" in followed.said("verify")
    assert any("http://127.0.0.1:" in line for line in followed.ran)


@pytest.mark.timeout(300)  # a rollback to services that are never verified waits for them
def test_what_a_failed_rollout_suggests_runs_in_the_same_shell(place: Project) -> None:
    place.tag("v2", broken="gateway")
    place.verified()
    again = Followed(place)
    broken = f"uniassist release rollout --rev v2 --env-file {place.env_file} --healthy-within 1"
    assert again.follow(broken, 3).code == 12
    assert "INCOMPLETE" in again.said("rollback")
    assert again.said("incident close")
    assert "evidence of" in again.said("evidence build")
