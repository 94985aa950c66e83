from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from tests.integration.release.commands import Command, Ended, everything
from tests.integration.release.repositories import NEXT_SCHEMA, VERSIONS, Repository, repository
from tests.ports import free_port

from uniassist.release.checks.servers import check_postgres, check_redis
from uniassist.release.report.checklist import CheckFailed

SECRET = "planted-secret-0123456789"


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return repository(tmp_path)


@pytest.fixture
def env_file(repo: Repository, database_url: str, redis_url: str) -> Path:
    """In the checkout and not ignored, as an operator would have it."""
    path = repo.path / "staging.env"
    write_env(path, DATABASE_URL=database_url, REDIS_URL=redis_url)
    return path


def write_env(path: Path, **values: str) -> None:
    good = {
        "UNIASSIST_ENV": "staging",
        "UNIASSIST_ADAPTER_SECRET": SECRET,
        "UNIASSIST_PROVIDER_CONTEXT_TOKEN": SECRET,
        "UNIASSIST_PROVIDER_TOKEN_PLAN": SECRET,
        "UNIASSIST_PLAN_PROVIDER_BASE_URL": "http://127.0.0.1:8890",
        "UNIASSIST_APP_AUTH": "off",
        "GATEWAY_URL": "http://127.0.0.1:8787",
        "WECHAT_TOKEN": "our-token",
    }
    path.write_text("".join(f"{name}='{value}'\n" for name, value in {**good, **values}.items()))


def flat(text: str) -> str:
    return " ".join(text.split())


def results(ended: Ended) -> dict[str, str]:
    return {step["name"]: step["result"] for step in json.loads(ended.out)["steps"]}


def test_a_first_release_that_is_ready(command: Command, repo: Repository, env_file: Path) -> None:
    commit = repo.git("rev-parse", "HEAD")
    repo.git("tag", "v1")

    ended = command("release", "preflight", "--rev", "v1", "--env-file", str(env_file))

    assert ended.code == 0, ended.said
    assert "a first release: there is nothing to roll back to" in flat(ended.out)
    known = json.loads((repo.path / f".uniassist/release/commits/{commit}.json").read_text())
    assert len(known["preflight"]["wheelSha256"]) == 64
    assert SECRET not in ended.said


def test_everything_that_is_wrong_is_said_in_one_run(command: Command, tmp_path: Path) -> None:
    """An env file as an operator forgot it, no server, no checkout, no git."""
    path, nowhere = tmp_path / "staging.env", f"127.0.0.1:{free_port()}"
    write_env(
        path,
        DATABASE_URL=f"postgresql://me:{SECRET}@{nowhere}/x",
        REDIS_URL=f"redis://:{SECRET}@{nowhere}/0",
        WECHAT_TOKEN="change-me",
        GATEWAY_URL="",
        OUTBOX_POLL_MS="often",
        SOMETHING_OF_OURS="<fill in>",
    )

    ended = command("release", "preflight", "--rev", "v1", "--env-file", str(path), PATH="/nowhere")

    assert ended.code == 10, ended.said
    for named in (
        "WECHAT_TOKEN: still a placeholder",
        "GATEWAY_URL: required, but not set",
        "OUTBOX_POLL_MS: expected an integer",
        "SOMETHING_OF_OURS: still a placeholder",
        "DATABASE_URL: can't connect",
        "REDIS_URL: redis: away (connection refused)",
        "git is not installed",
    ):
        assert named in flat(ended.out)
    assert SECRET not in ended.said


async def test_servers_that_are_too_old_or_closed_to_writing_are_named(database_url: str, redis_url: str) -> None:
    with pytest.raises(CheckFailed, match=r"Postgres .* is too old; at least 99"):
        await check_postgres(database_url, minimum=99)
    with pytest.raises(CheckFailed, match=r"Redis .* is too old; at least 99\.0"):
        await check_redis(redis_url, minimum=(99, 0))
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(CheckFailed, match="can't write to"):
        await check_postgres(database_url)


async def test_checking_the_servers_leaves_nothing(database_url: str, redis_url: str) -> None:
    before = everything(database_url, redis_url)
    await check_postgres(database_url)
    await check_redis(redis_url)
    assert everything(database_url, redis_url) == before
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT to_regclass('uniassist_preflight')").fetchone() == (None,)


def test_a_dirty_tree_and_no_tag_and_a_moved_tag_are_refused_each_with_its_words(
    command: Command, repo: Repository, env_file: Path
) -> None:
    def preflight(*arguments: str) -> Ended:
        return command("release", "preflight", "--json", "--env-file", str(env_file), *arguments)

    untagged, unheard_of = preflight(), preflight("--rev", "main")
    repo.git("tag", "v1")
    repo.write("forgotten.py", "x = 1\n")
    dirty = preflight("--rev", "v1")
    (repo.path / "forgotten.py").unlink()
    repo.write("README", "more")
    repo.git("add", "README")
    repo.git("commit", "-q", "-m", "more")
    repo.git("tag", "-f", "v1")
    moved = preflight("--rev", "v1")

    for ended, named in (
        (untagged, "has no tag"),
        (unheard_of, "main is no tag"),
        (dirty, "isn't clean: forgotten.py"),
        (moved, "the tag v1 was moved"),
    ):
        assert (ended.code, results(ended)["revision"], results(ended)["wheel"]) == (10, "failed", "not run")
        assert named in flat(ended.err)


def test_a_wheel_that_differs_and_a_contracting_migration_are_refused(
    command: Command, repo: Repository, env_file: Path
) -> None:
    repo.git("tag", "v1")
    repo.write(
        "setup.py",
        "import os, pathlib, setuptools\n"
        "pathlib.Path('src/uniassist/built.txt').write_text(os.getcwd())\n"
        "setuptools.setup()\n",
    )
    for name, kind, sql in (("0099_drop", "contract", ""), (f"{NEXT_SCHEMA}_sly", "expand", "DROP TABLE sessions")):
        number, below = name[:4], f"{int(name[:4]) - 1:04}"
        text = f'revision = "{number}"\ndown_revision = "{below}"\nkind = "{kind}"\n'
        repo.write(f"{VERSIONS}/{name}.py", f'{text}def upgrade() -> None:\n    run("{sql}")\n')
    repo.git("add", "setup.py", "src")
    repo.git("commit", "-q", "-m", "worse")
    repo.git("tag", "v2")

    ended = command("release", "preflight", "--json", "--rev", "v2", "--env-file", str(env_file))

    assert ended.code == 10, ended.said
    assert [name for name, result in results(ended).items() if result == "failed"] == ["wheel", "migrations"]
    said = flat(ended.err)
    assert "two builds of one commit differ in uniassist/built.txt" in said
    assert "0099_drop contracts" in said
    assert f"{NEXT_SCHEMA}_sly says it expands, but drops: DROP TABLE" in said
