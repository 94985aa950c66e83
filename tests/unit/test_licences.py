"""What is shipped has a licence that may be; what has none, or another, is named."""

from __future__ import annotations

import pytest
from tests.licences import RUNTIME, is_allowed, objections, shipped

LOCK = """\
alpha==1.0 \\
    --hash=sha256:00
beta[extra]==2.0 ; python_version >= '3.11' \\
    --hash=sha256:00
    # via alpha
gamma==3.0 ; sys_platform == 'win32' and sys_platform == 'linux'
"""


def test_what_is_locked_for_this_platform_is_shipped() -> None:
    assert list(shipped(LOCK)) == ["alpha", "beta"]


def test_all_that_we_ship_may_be_shipped() -> None:
    lock = RUNTIME.read_text("utf-8")
    assert len(list(shipped(lock))) > 50
    assert objections(lock) == []


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(Apache-2.0 OR BSD-3-Clause) AND MIT", True),
        ("(MIT OR GPL-3.0-only) AND MIT", False),
        ("LGPL-3.0-only", False),
        ("AGPL-3.0-only", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_a_licence(licence: str, allowed: bool) -> None:
    assert is_allowed("alpha", licence) is allowed
    named = objections(LOCK, lambda package: licence if package == "beta" else "MIT")
    assert [each.partition(":")[0] for each in named] == ([] if allowed else ["beta"])


def test_an_exception_is_one_packages_only() -> None:
    assert is_allowed("psycopg", "LGPL-3.0-only")
    assert not is_allowed("psycopg", "GPL-3.0-only")


def test_what_is_not_installed_is_named() -> None:
    assert "isn't installed" in objections("no-such-package-here==1.0\n")[0]
