"""What is in the way of Postgres, each in one sentence that says what to mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ports import free_port

from uniassist.release.checks.connecting import connect
from uniassist.release.report.checklist import CheckFailed


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("?sslmode=verify-full&sslrootcert=/nowhere/ca.crt", "sslrootcert: /nowhere/ca.crt isn't there"),
        ("?sslmode=verify-full&sslrootcert=NO_CERTIFICATE", "DATABASE_URL: can't connect"),
        ("?sslmode=often", "DATABASE_URL: can't connect"),
        ("", "DATABASE_URL: can't connect"),
    ],
)
async def test_it_is_one_sentence_with_the_remedy(tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "NO_CERTIFICATE").write_text("not one")
    more = more.replace("NO_CERTIFICATE", str(tmp_path / "NO_CERTIFICATE"))
    with pytest.raises(CheckFailed) as failed:
        await connect(f"postgresql://u:secret-of-u@127.0.0.1:{free_port()}/db{more}")
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)
    assert "secret-of-u" not in str(failed.value)
