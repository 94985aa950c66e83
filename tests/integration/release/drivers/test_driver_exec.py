"""The operator's own commands: what goes wrong with them is said, and what they print is masked."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest
from tests.integration.release.drivers.places import SERVICE, Place, started_tool, stranger
from tests.waiting import eventually

from uniassist.errors import SettingsError
from uniassist.release.drivers.driver import DriverFailed
from uniassist.release.drivers.exec_driver import ExecDriver
from uniassist.release.drivers.exec_file import ExecFile, ObserveVerb, Verb, read_exec_file
from uniassist.release.report.masking import Masker

FINE = Verb("true", 5.0)
STOPPED = ObserveVerb("""echo '{"state": "stopped"}'""")
RUNNING = """echo '{"state": "running", "instances": ["a", "b"]}'"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("exec", tmp_path)


def driver(place: Place, *, masker: Masker | None = None, **verbs: Verb | ObserveVerb) -> ExecDriver:
    given = {"deploy": FINE, "stop": FINE, "observe": STOPPED, "revert": FINE, **verbs}
    file = ExecFile(**given)  # type: ignore[arg-type]
    return ExecDriver(file, place.home, urls={SERVICE: place.url}, mask=(masker or Masker()).mask)


async def test_a_command_that_fails_is_said_with_its_words_and_without_secrets(place: Place) -> None:
    failing = Verb("echo 'bad password s3cret-of-theirs' >&2; exit 7", 5.0)
    subject = driver(place, masker=Masker(["s3cret-of-theirs"]), deploy=failing)
    with pytest.raises(DriverFailed) as failed:
        await subject.deploy(SERVICE, place.release("v1"))
    assert str(failed.value) == "gateway: deploy ended with 7: bad password ***"


async def test_a_line_that_fails_in_the_middle_or_names_an_unset_variable_fails_the_verb(place: Place) -> None:
    for script in ("false\ntrue", 'echo "$NO_SUCH_NAME"'):
        with pytest.raises(DriverFailed):
            await driver(place, deploy=Verb(script, 5.0)).deploy(SERVICE, place.release("v1"))


async def test_a_command_beyond_its_deadline_is_ended_with_all_that_it_started(place: Place) -> None:
    pid = place.folder / "child"
    slow = Verb(f"sleep 600 & echo $! > {pid}; wait", 0.5)
    with pytest.raises(DriverFailed, match=r"deploy not done within 0\.5 s"):
        await driver(place, deploy=slow).deploy(SERVICE, place.release("v1"))
    await eventually(lambda: _is_gone(int(pid.read_text())), "its child is gone")


async def test_a_stop_isnt_believed_before_observation_agrees(place: Place) -> None:
    subject = driver(place, observe=ObserveVerb(RUNNING), stop=Verb("true", 0.5))
    with pytest.raises(DriverFailed, match="it isn't down: observe says running"):
        await subject.stop(SERVICE)


async def test_something_that_answers_keeps_a_stop_from_being_proven(place: Place) -> None:
    with stranger(place.port), pytest.raises(DriverFailed, match="its URL answers"):
        await driver(place, stop=Verb("true", 0.5)).stop(SERVICE)


async def test_an_instance_that_observe_doesnt_name_is_a_stranger(place: Place) -> None:
    with stranger(place.port):
        seen = await driver(place, observe=ObserveVerb(RUNNING)).observe(SERVICE)
    assert (seen.state, seen.stranger) == ("running", True)
    assert "instance not-yours answers, a, b runs" in seen.detail


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "observe ended with 3"),
        ("sleep 600", "no answer within 0.4 s"),
        ("echo hello", "observe: JSON is malformed"),
        ("""echo '{"state": "up"}'""", "Invalid enum value 'up' - at `$.state`"),
        ("""echo '{"state": "running", "revison": "v1"}'""", "unknown field `revison`"),
    ],
)
async def test_an_observation_that_cant_be_read_is_unknown_and_says_why(
    place: Place, script: str, said: str
) -> None:
    seen = await driver(place, observe=ObserveVerb(script, 0.4 if "sleep" in script else 3.0)).observe(SERVICE)
    assert (seen.state, seen.ok) == ("unknown", None)
    assert said in seen.detail


async def test_the_command_of_a_tool_that_was_killed_ends_before_another_begins(place: Place) -> None:
    calls, gate = place.folder / "order", place.folder / "gate"
    script = f"echo begin >> {calls}; while ! test -e {gate}; do sleep 0.02; done; echo end >> {calls}"
    first = driver(place, deploy=Verb(script, 20.0))
    under_way = asyncio.create_task(first.deploy(SERVICE, place.release("v1")))
    await eventually(calls.exists, "the first command runs")
    second = asyncio.create_task(
        driver(place, deploy=Verb(f"echo second >> {calls}", 20.0)).deploy(SERVICE, place.release("v2"))
    )
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    gate.touch()
    await asyncio.gather(under_way, second)
    assert calls.read_text().split() == ["begin", "end", "second"]


async def test_a_tool_that_is_killed_while_its_command_runs_makes_nothing_happen_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.environ.items():
        monkeypatch.setenv(name, value)
    tool = await started_tool(place, "v1")
    noted = place.home / "exec" / f"{SERVICE}.json"
    await eventually(
        lambda: noted.exists() or tool.returncode is not None, "the command is under way", pause_seconds=0.001
    )
    with contextlib.suppress(ProcessLookupError):  # on a busy machine it can be over before it is seen
        tool.kill()
    await tool.wait()
    subject = place.driver()
    await subject.deploy(SERVICE, place.release("v1"))
    await place.healthy(subject, "v1")
    assert (place.folder / "calls").read_text().split() == ["deploy"]
    await place.clear()


async def test_commands_get_the_release_and_the_service_as_variables(place: Place) -> None:
    out, release = place.folder / "out", place.release("v1")
    await driver(place, deploy=Verb(f"env > {out}", 5.0)).deploy(SERVICE, release)
    lines = out.read_text().splitlines()
    for name, value in {
        "SERVICE": SERVICE,
        "URL": place.url,
        "ID": release.id,
        "TAG": "v1",
        "COMMIT": release.commit,
        "FOLDER": release.folder,
        "ENV_FILE": release.folder / "env",
        "ENV_DIGEST": release.env_digest,
        "WHEEL": release.folder / "tiny-1-py3-none-any.whl",
        "WHEEL_SHA256": release.wheel_sha256,
    }.items():
        assert f"UNIASSIST_RELEASE_{name}={value}" in lines


@pytest.mark.parametrize("name", ["ssh", "docker-compose", "kubectl"])
async def test_our_examples_can_be_read_and_are_shell(name: str) -> None:
    root = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").exists())
    file = read_exec_file(root / "ops" / "deploy" / "drivers" / f"{name}.toml")
    for verb in (file.prepare, file.deploy, file.stop, file.observe, file.revert):
        assert verb is not None
        shell = await asyncio.create_subprocess_exec("/bin/sh", "-nc", verb.run)
        assert await shell.wait() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("[deplyo]\nrun = 'true'", "unknown field `deplyo`"),
        ("[stop]\nruns = 'true'", "`$.stop`"),
        ("[stop]\nrun = 'true'\ndeadline-seconds = 'long'", "`$.stop.deadline-seconds`"),
        ("[stop]\nrun = ''", "`$.stop.run`"),
        ("", "missing required field `stop`"),
        ("[stop", "table declaration"),
    ],
)
def test_a_driver_file_that_cant_be_used_is_refused_with_its_key(tmp_path: Path, change: str, said: str) -> None:
    path = tmp_path / "driver.toml"
    path.write_text("[deploy]\nrun = 'true'\n[revert]\nrun = 'true'\n[observe]\nrun = 'true'\n" + change)
    with pytest.raises(SettingsError, match="--driver-file") as refused:
        read_exec_file(path)
    assert said in str(refused.value)


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
