from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.errors import StartError
from uniassist.release.env.file import read_env_file, written
from uniassist.release.records.deployed import Deployed
from uniassist.release.records.home import Home
from uniassist.release.records.kept_releases import Parts, env_of, verify_env_of

_VALUES = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=30)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True), _VALUES, max_size=4))
def test_an_env_set_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "env"
    path.write_bytes(written(values).encode())
    assert read_env_file(path) == values


def test_a_shell_reads_it_the_same(tmp_path: Path) -> None:
    nasty = 'it\'s $HOME `id` \\ "quoted"\nsecond line'
    (tmp_path / "env").write_text(written({"NASTY": nasty}))
    script = '. ./env; printf %s "$NASTY"'
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == nasty


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    (tmp_path / "uniassist-1-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "runtime.txt").write_text("nothing\n")
    wheel, requirements = tmp_path / "uniassist-1-py3-none-any.whl", tmp_path / "runtime.txt"
    return Parts("v1", "c0ffee", wheel, requirements, {"A": "it's"}, {"STAGING_APP_TOKEN": "t"}, "1234567890abcdef")


def test_a_release_is_kept_with_all_that_a_restart_needs(tmp_path: Path, parts: Parts) -> None:
    home = Home(tmp_path / "home", "staging")
    release = home.kept.keep(parts)
    assert release.id == "v1-12345678"
    assert home.kept.get(release.id) == release
    assert sorted(path.name for path in release.folder.iterdir()) == [
        "env",
        "release.json",
        "requirements.txt",
        "uniassist-1-py3-none-any.whl",
        "verify.env",
    ]
    assert (release.folder / "env").stat().st_mode & 0o777 == 0o600
    assert env_of(release) == {"A": "it's"}
    assert verify_env_of(release) == {"STAGING_APP_TOKEN": "t"}
    assert home.kept.keep(parts) == release
    with pytest.raises(StartError, match="another commit"):
        home.kept.keep(replace(parts, commit="deadbeef"))


def test_a_release_that_can_t_be_kept_leaves_nothing(tmp_path: Path, parts: Parts) -> None:
    home = Home(tmp_path / "home", "staging")
    with pytest.raises(StartError):
        home.kept.keep(replace(parts, requirements=tmp_path / "missing.txt"))
    assert list(home.kept.directory.iterdir()) == []


def test_the_last_three_verified_stay_and_what_runs_and_what_another_environment_needs(
    tmp_path: Path, parts: Parts
) -> None:
    home, prod = Home(tmp_path / "home", "staging"), Home(tmp_path / "home", "prod")
    ids = [home.kept.keep(replace(parts, tag=f"v{n}")).id for n in range(1, 9)]
    for release in ids[2:7]:
        home.change(lambda known, release=release: known.aiming_at(release).proved(release))  # type: ignore[misc]
    prod.change(lambda known: known.given("gateway", ids[0]))
    # One that was killed is still to be resumed.
    home.runs.begin("rollout", "v2", environment="prod", driver="local", target=ids[1], who="me", why="")
    assert home.prune() == [ids[2], ids[3], ids[7]]
    assert [release.id for release in home.kept.all()] == [ids[0], ids[1], *ids[4:7]]


def test_one_rolls_back_to_what_was_verified_before() -> None:
    known = Deployed().proved("v1").proved("v2").aiming_at("v3")
    assert known.rollback_target("v3") == "v2"
    assert known.proved("v3").rollback_target("v3") == "v2"
    assert known.rollback_target("v1") is None
    assert Deployed().rollback_target("v1") is None
    back = known.proved("v3").doubted("v3").proved("v2")
    assert back.rollback_target("v4") == "v2"
    assert known.only_current_is_good().rollback_target("v3") is None
