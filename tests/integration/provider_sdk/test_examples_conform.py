"""Our own provider and both examples keep the contract, by the kit that authors use; and both examples stream."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from uniassist.provider.testing import ask, running, texts
from uniassist.release.checks.conformance.provider.asking import Subject
from uniassist.release.checks.conformance.provider.kit import check_provider
from uniassist.release.report.checklist import Checklist

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def python_example() -> Iterator[str]:
    with running([sys.executable, "provider.py"], directory=EXAMPLES / "provider_python") as url:
        yield url


@pytest.fixture(scope="module")
def javascript_example() -> Iterator[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node isn't on PATH")
    with running([node, "provider.mjs"], directory=EXAMPLES / "provider_javascript") as url:
        yield url


@pytest.fixture(scope="module")
def plan() -> Iterator[str]:
    with running([sys.executable, "-m", "uniassist.cli.main", "provider-plan"]) as url:
        yield url


@pytest.mark.parametrize("name", ["python_example", "javascript_example", "plan"])
async def test_it_keeps_the_contract(name: str, request: pytest.FixtureRequest) -> None:
    checklist = Checklist("conformance", print)
    await check_provider(checklist, Subject(request.getfixturevalue(name)))
    assert checklist.failed == []
    streamed = {each.name: each.result for each in checklist.outcomes}["a stream"]
    assert streamed == ("skipped" if name == "plan" else "ok")


@pytest.mark.parametrize("name", ["python_example", "javascript_example"])
def test_an_example_answers_in_the_persons_language(name: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(name)
    assert "3 words" in texts(ask(url, "one two three"))[0]
    assert "3 个词" in texts(ask(url, "一 二 三", locale="zh-CN"))[0]
