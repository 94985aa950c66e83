"""`uniassist agent add`: an agent is tried, what people will see is shown, and its entry written."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.a2a_agent import SECRET
from tests.forking import uniassist
from tests.ports import free_port
from tests.scripted_agents import scripted_agents

TOKEN = "UNIASSIST_PROVIDER_TOKEN_AGENT"


@pytest.fixture(scope="module")
def agent_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scripted_agents(tmp_path_factory.mktemp("agents")) as agents:
        yield agents.url


def add(*arguments: str, **env: str) -> tuple[int, str]:
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | env
    done = uniassist(["agent", "add", *arguments], env=given)
    out, err = done.communicate(timeout=60)
    return done.wait(), out + err


def test_an_agent_is_tried_and_written(agent_url: str, tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    url, hello = f"{agent_url}/rpc", "a:x:Good_ A:x:day ask:Which_day?"
    code, said = add(url, "--file", str(path), "--text", hello)
    assert code == 0, said
    for line in (
        "card        Scripted rpc: Does what is written.",
        f"JSONRPC 1.0 at {url}/call",
        "              Good day",
        "              Which day?",
        "it waits for their answer",
        "streaming   yes; this came in 2 pieces",
        "cancel      cancelled",
        "reached by  test, Act",
        "connects “scripted-rpc”",
    ):
        assert line in said, said
    entries = tomllib.loads(path.read_text("utf-8"))["provider"]
    assert [each["id"] for each in entries][:2] == ["plan", "work"], "it begins as our own file"
    assert entries[-1]["kind"] == "a2a"
    assert entries[-1]["base_url"] == url
    again = path.read_text("utf-8")
    code, said = add(url, "--file", str(path), "--text", hello)
    assert (code, path.read_text("utf-8")) == (1, again)
    assert "has “scripted-rpc” already; expected another --id" in said


def test_what_is_wrong_is_said_in_a_line(agent_url: str, tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    for arguments, words in (
        ((f"http://127.0.0.1:{free_port()}",), "agent card: ConnectError"),
        ((f"{agent_url}/nothing",), "agent card: answered 404"),
        ((f"{agent_url}/secret",), "asks for credentials"),
        (("ftp://x",), "base_url"),
        ((f"{agent_url}/rpc", "--token-env", "OTHER"), "expected a variable that starts with"),
    ):
        code, said = add(*arguments, "--file", str(path))
        assert code == 1, said
        assert words in said, said
        assert "Traceback" not in said
    assert not path.exists()


def test_without_a_file_the_entry_is_shown(agent_url: str) -> None:
    url = f"{agent_url}/secret"
    code, said = add(
        url, "--id", "mine", "--keywords", "one, two", "--token-env", TOKEN, "--text", "say:Hi", **{TOKEN: SECRET}
    )
    assert code == 0, said
    assert 'keywords = ["one", "two"]' in said
    assert f'api_key_env = "{TOKEN}"' in said
    assert "it answers without tasks" in said
    assert SECRET not in said
