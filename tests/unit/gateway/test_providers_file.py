"""The providers file: the package's own, and what a bad one is refused for."""

from __future__ import annotations

from importlib.resources import files

import pytest

from uniassist.errors import SettingsError
from uniassist.gateway import providers
from uniassist.gateway.providers import Catalogue

PLAN_URL = "UNIASSIST_PLAN_PROVIDER_BASE_URL"


def parse(source: str, **urls: str | None) -> Catalogue:
    return providers.parse(source, name="mine.toml", base_urls={PLAN_URL: None} | urls, timeout_ms=8000)


def entry(**changed: str) -> str:
    fields = {"id": '"work"', "keywords": '["工作"]'} | changed
    return "[[provider]]\n" + "\n".join(f"{name} = {value}" for name, value in fields.items())


def test_the_packages_file_says_what_the_contract_says() -> None:
    source = files("uniassist.gateway").joinpath("providers.toml").read_text("utf-8")
    catalogue = parse(source, **{PLAN_URL: "http://plan:8890/"})
    assert {each.provider_id: " ".join(each.keywords) for each in catalogue.providers} == {
        "plan": "计划 安排 日程 目标 规划",
        "work": "工作 任务 项目 会议 汇报 交付",
        "reminder": "提醒 记录 待办 通知",
    }
    urls = {each.provider_id: each.base_url for each in catalogue.providers}
    assert urls == {"plan": "http://plan:8890", "work": None, "reminder": None}


def test_what_an_entry_says_is_taken() -> None:
    catalogue = parse(entry(base_url='"https://work.example/api/"', concurrency="3", timeout_ms="1500"))
    [work] = catalogue.providers
    assert (work.base_url, work.concurrency, work.timeout_seconds) == ("https://work.example/api", 3, 1.5)
    assert catalogue.get("work") is work
    assert catalogue.get("plan") is None


def test_the_default_deadline_is_the_settings() -> None:
    assert parse(entry()).providers[0].timeout_seconds == 8.0


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("", "provider"),
        ("provider = []", "provider"),
        ("not toml", "line 1"),
        (entry(id='"Has Spaces"'), "id"),
        (entry(id='""'), "id"),
        (entry(id="7"), "id"),
        (entry(keywords="[]"), "keywords"),
        (entry(keywords='[""]'), "keywords"),
        (entry(keywords='"工作"'), "keywords"),
        ("[[provider]]\nid = 'work'", "keywords"),
        (entry(base_url='"ftp://work"'), "base_url"),
        (entry(base_url='"http://a b"'), "base_url"),
        (entry(base_url_env='"PATH"'), "base_url_env"),
        (entry(concurrency="0"), "concurrency"),
        (entry(timeout_ms='"soon"'), "timeout_ms"),
        (entry(timeout="100"), "timeout"),
        (entry() + "\n" + entry(), "work"),
        (entry(id='"builtin_chat"'), "builtin_chat"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_fields(source: str, named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(source)
    assert str(refused.value).startswith("mine.toml: ")
    assert named in str(refused.value)
