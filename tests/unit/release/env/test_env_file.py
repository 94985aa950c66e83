from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uniassist.errors import SettingsError
from uniassist.release.env.environment import Environment
from uniassist.release.env.file import digest, read_env_file
from uniassist.release.evidence.sweep import Sweep
from uniassist.settings import example

letters = st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="'")
values = st.text(letters | st.just("\n"), max_size=30)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.from_regex(r"X_[A-Z]{1,8}", fullmatch=True), values, max_size=5))
def test_a_file_means_to_us_what_it_means_to_a_shell(tmp_path: Path, written: dict[str, str]) -> None:
    path = tmp_path / "staging.env"
    path.write_text("# ours\n\n" + "".join(f"{name}={shlex.quote(value)}\n" for name, value in written.items()))
    script = f"set -a; . {path}; " + "".join(f'printf "%s\\0" "${name}"; ' for name in written)
    shell = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    assert read_env_file(path) == written == dict(zip(written, shell, strict=True))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("export A='with space'", "with space"),
        ('A="a \\"quoted\\" one" # why', 'a "quoted" one'),
        ("A=", ""),
        ("  A=x   # comment", "x"),
        ("A='#not a comment'", "#not a comment"),
        ("A='-----BEGIN\nof several lines\n-----END'", "-----BEGIN\nof several lines\n-----END"),
        ('A="two\nlines"', "two\nlines"),
    ],
)
def test_lines_as_operators_write_them(tmp_path: Path, line: str, value: str) -> None:
    path = tmp_path / "e"
    path.write_text(line + "\n")
    assert read_env_file(path) == {"A": value}


@pytest.mark.parametrize(
    "line", ["A=$(secret-command)", 'A="$HOME"', "A=two words", "A", "A='open", "A=`x`", "A=x; rm y"]
)
def test_what_a_shell_would_run_or_expand_is_refused_without_its_value(tmp_path: Path, line: str) -> None:
    path = tmp_path / "e"
    path.write_text(f"GOOD=1\n{line}\n")
    with pytest.raises(SettingsError, match="line 2: expected NAME='value'") as refused:
        read_env_file(path)
    assert "secret-command" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbfA=1\n", "begins with a byte order mark"),
        (b"A='1'\r\nB='2'\r\n", "has the line ends of Windows"),
    ],
)
def test_what_editors_add_is_named_with_the_command_that_mends_it(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "my env"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=said) as refused:
        read_env_file(path)
    subprocess.run(
        [
            "sh",
            "-c",
            str(refused.value).partition("remove it: ")[2] or str(refused.value).partition("remove them: ")[2],
        ],
        check=True,
    )
    assert read_env_file(path)["A"] == "1"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A=two words", "put the value of A into single quotes"),
        ("A=p&ss", "put the value of A into single quotes"),
        ("A='open", "the quote that begins the value of A isn't closed"),
        ("A", "there is no NAME= in it"),
        ("A='it's it's'", "a quote within the value of A ends it"),
    ],
)
def test_a_line_that_cannot_be_read_says_what_to_do_about_it(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "e"
    path.write_text(f"{line}\n")
    with pytest.raises(SettingsError, match=said):
        read_env_file(path)


def test_a_variable_set_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_text("A=1\nA=2\n")
    with pytest.raises(SettingsError, match="line 2: A is set a second time"):
        read_env_file(path)


def test_our_own_example_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "env.example"
    path.write_text(example.render())
    assert read_env_file(path)["UNIASSIST_ENV"] == "staging"
    assert read_env_file(path)["UNIASSIST_STREAM_GROUP"] == "ua-delivery-staging", "as the runbook's drill names it"


@pytest.mark.parametrize("from_file", [True, False])
def test_tokens_that_the_providers_file_names_are_deployed_and_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_file: bool
) -> None:
    path = tmp_path / "e"
    path.write_text("UNIASSIST_PROVIDER_TOKEN_WORK='very-secret-work-token'\n")
    if not from_file:
        monkeypatch.setenv("UNIASSIST_PROVIDER_TOKEN_WORK", "very-secret-work-token")
    environment = Environment.load("staging", path if from_file else None)
    assert environment.env_set.deployed["UNIASSIST_PROVIDER_TOKEN_WORK"] == "very-secret-work-token"
    assert "very-secret" not in environment.masker.mask("with very-secret-work-token")
    assert Sweep([environment.values]).redact("with very-secret-work-token")[1] == ["UNIASSIST_PROVIDER_TOKEN_WORK"]


def test_a_digest_tells_deployed_values_apart_and_ignores_the_tools_own() -> None:
    names = {"A": 0, "B": 0, "STAGING_X": 0}
    base = digest({"A": "1", "B": ""}, names)
    assert digest({"B": "", "A": "1", "STAGING_X": "y", "UNKNOWN": "z"}, names) == base
    own = {"UNIASSIST_REVISION": "v2", "UNIASSIST_INSTANCE": "5e1f.0", "UNIASSIST_ENV_DIGEST": "abc"}
    assert digest({"A": "1", **own}, {**names, **dict.fromkeys(own, 0)}) == base
    assert digest({"A": "2"}, names) != base
    assert digest({"A": "1", "B": "2"}, names) != base
