"""Every secret may come as NAME_FILE, for services, preflight and masks alike; what is wrong with it is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.settings.environments import SECRETS, SERVICES, STAGING, STRONG

from uniassist.errors import SettingsError
from uniassist.provider.app import ProviderSettings
from uniassist.release.env.check import check_env
from uniassist.release.env.environment import Environment
from uniassist.release.env.file import read_env_file
from uniassist.release.report.checklist import CheckFailed
from uniassist.settings import Reader, secret_files
from uniassist.settings.masking import masker_of
from uniassist.settings.variables import VARIABLES

TOKENS = ("UNIASSIST_PROVIDER_TOKEN_TRAVEL", "UNIASSIST_PROVIDER_TOKEN_TRAVEL_ACCESS")
TABLE = [name for name, variable in VARIABLES.items() if variable.secret]
# What is no text of 16 characters or more.
OF_ITS_OWN = {
    "DATABASE_URL": STAGING["DATABASE_URL"],
    "REDIS_URL": STAGING["REDIS_URL"],
    "UNIASSIST_APP_JWT_JWKS": "https://keys.internal/jwks.json",
}


def filed(folder: Path, values: dict[str, str]) -> dict[str, str]:
    """The same environment with each secret in a file, as an editor leaves it: with a line end."""
    found = {name: value for name, value in values.items() if not secret_files.is_secret(name)}
    for name in values.keys() - found.keys():
        path = folder / name.lower()
        path.write_text(values[name] + "\n", "utf-8")
        found[f"{name}_FILE"] = str(path)
    return found


def test_the_table_knows_secrets() -> None:
    assert {*SECRETS, *OF_ITS_OWN} <= set(TABLE)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_from_files_what_it_reads_from_variables(service: str, tmp_path: Path) -> None:
    files = filed(tmp_path, STAGING)
    assert not {name for name in files if secret_files.is_secret(name)}
    assert SERVICES[service](files) == SERVICES[service](STAGING)


@pytest.mark.parametrize("name", [*TABLE, *TOKENS])
class TestEachSecret:
    def test_may_come_from_a_file(self, name: str, tmp_path: Path) -> None:
        value = OF_ITS_OWN.get(name, STRONG)
        path = tmp_path / "secret"
        path.write_text(f"{value}\n", "utf-8")
        given = {"UNIASSIST_ENV": "staging", f"{name}_FILE": str(path)}
        assert secret_files.value_of(given, name) == value
        assert secret_files.with_files_read(given) == {"UNIASSIST_ENV": "staging", name: value}
        if name in VARIABLES:
            assert Reader(given).optional(name) == value

    def test_is_given_once(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_text(STRONG, "utf-8")
        assert self._said(name, str(path), value=STRONG) == (
            f"{name} and {name}_FILE are both given; expected one of them"
        )

    def test_names_a_file_that_is_not_there(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / "nothing"
        assert self._said(name, str(path)) == f"{name}_FILE: can't read {path}: No such file or directory"

    def test_names_a_file_that_is_none(self, name: str, tmp_path: Path) -> None:
        assert self._said(name, str(tmp_path)) == f"{name}_FILE: can't read {tmp_path}: Is a directory"

    @pytest.mark.parametrize("content", [b"", b"\n", b" \r\n"])
    def test_names_an_empty_file(self, name: str, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_bytes(content)
        assert self._said(name, str(path)) == f"{name}_FILE: {path} is empty; expected the secret in it"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"\xff\xfe", "isn't UTF-8; expected the secret as text"),
            (b"a\0b", "has a NUL in it; expected the secret as text"),
            (b"x" * 65_537, "is larger than 65536 bytes; expected the secret alone"),
        ],
    )
    def test_names_a_file_that_holds_something_else(
        self, name: str, content: bytes, said: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "secret"
        path.write_bytes(content)
        assert self._said(name, str(path)) == f"{name}_FILE: {path} {said}"

    def test_is_no_file_without_a_path(self, name: str) -> None:
        assert secret_files.value_of({f"{name}_FILE": " ", name: STRONG}, name) == STRONG

    @staticmethod
    def _said(name: str, path: str, value: str = "") -> str:
        """What is said of it, the same by who reads the one and by preflight, that has all at once."""
        given = {**STAGING, name: value, f"{name}_FILE": path}
        with pytest.raises(SettingsError) as caught:
            secret_files.value_of(given, name)
        if name in VARIABLES:
            with pytest.raises(SettingsError) as by_reader:
                Reader(given).optional(name)
            assert str(by_reader.value) == str(caught.value)
        with pytest.raises(CheckFailed) as by_preflight:
            check_env(given, "staging", is_file=True)
        assert str(by_preflight.value) == str(caught.value)
        return str(caught.value)


def test_only_secrets_come_from_files() -> None:
    assert secret_files.secret_of("UNIASSIST_PROVIDERS_FILE") is None
    assert secret_files.secret_of("GATEWAY_PORT_FILE") is None
    assert secret_files.secret_of("UNIASSIST_PROVIDER_TOKEN_FILE") is None
    assert secret_files.secret_of("UNIASSIST_PROVIDER_TOKEN_TRAVEL_FILE") == TOKENS[0]


def test_one_line_end_only_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"-----BEGIN-----\nabc\n-----END-----\r\n")
    assert secret_files.value_of({f"{TOKENS[0]}_FILE": str(path)}, TOKENS[0]) == (
        "-----BEGIN-----\nabc\n-----END-----"
    )


def test_preflight_takes_an_environment_of_files_and_says_all_that_is_wrong_with_one(tmp_path: Path) -> None:
    whole = filed(tmp_path, STAGING)
    assert "unknown" not in check_env(whole, "staging", is_file=True)
    (tmp_path / "wechat_token").unlink()
    (tmp_path / "redis_url").write_text("http://redis.internal")
    with pytest.raises(CheckFailed) as caught:
        check_env(whole, "staging", is_file=True)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["REDIS_URL", "WECHAT_TOKEN_FILE"]


def test_an_env_file_is_read_with_its_files_and_goes_over_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = filed(tmp_path, STAGING)
    env_file = tmp_path / "staging.env"
    env_file.write_text("".join(f"{name}='{value}'\n" for name, value in lines.items()))
    assert read_env_file(env_file) == STAGING
    monkeypatch.setenv("DATABASE_URL", "postgresql://shell.internal/uniassist")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "nothing"))
    environment = Environment.load("staging", env_file)
    assert environment.reader().database_url().reveal() == STAGING["DATABASE_URL"]
    assert environment.reader().redis_url().reveal() == STAGING["REDIS_URL"]
    # What a rollback puts back is the secret, whatever stands in the file by then.
    assert environment.env_set.deployed["WECHAT_TOKEN"] == STAGING["WECHAT_TOKEN"]
    digest = environment.env_digest
    (tmp_path / "wechat_token").write_text("another-token")
    assert Environment.load("staging", env_file).env_digest != digest


def test_what_came_from_a_file_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in filed(tmp_path, STAGING).items():
        monkeypatch.setenv(name, value)
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    secret_files.take_in(os.environ)
    assert os.environ["UNIASSIST_ADAPTER_SECRET"] == STRONG
    assert "UNIASSIST_ADAPTER_SECRET_FILE" not in os.environ
    assert masker_of(os.environ).mask(f"so {STRONG} is") == "so *** is"


def test_the_sdk_and_the_providers_file_take_tokens_from_files(tmp_path: Path) -> None:
    given = filed(tmp_path, {"UNIASSIST_ENV": "staging", TOKENS[0]: STRONG, TOKENS[1]: f"{STRONG}-2"})
    read = ProviderSettings.from_env("travel", 8123, given)
    assert (read.token, read.access_token) == (STRONG, f"{STRONG}-2")
    assert secret_files.provider_tokens(given) == {TOKENS[0]: STRONG, TOKENS[1]: f"{STRONG}-2"}
    (tmp_path / TOKENS[0].lower()).unlink()
    with pytest.raises(SettingsError, match=f"^{TOKENS[0]}_FILE: can't read"):
        secret_files.provider_tokens(given)
