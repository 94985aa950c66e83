"""The providers file: the package's own, and what a bad one is refused for."""

from __future__ import annotations

from importlib.resources import files

import pytest

from uniassist.errors import SettingsError
from uniassist.gateway.providers import catalogue
from uniassist.gateway.providers.catalogue import Catalogue
from uniassist.gateway.providers.kinds.openai import Options
from uniassist.settings.variables import PLAN_TOKEN, REMINDER_TOKEN

KEY = "UNIASSIST_PROVIDER_TOKEN_KEY"
PLAN_URL = "UNIASSIST_PLAN_PROVIDER_BASE_URL"
REMINDER_URL = "UNIASSIST_REMINDER_PROVIDER_BASE_URL"


def parse(source: str, **urls: str | None) -> Catalogue:
    return catalogue.parse(
        source,
        name="mine.toml",
        base_urls={PLAN_URL: None, REMINDER_URL: None} | urls,
        timeout_ms=8000,
        tokens={PLAN_TOKEN: None, REMINDER_TOKEN: None, KEY: "0123456789abcdef"},
        options={"uniassist": None, "openai": Options},
    )


def entry(**changed: str) -> str:
    fields = {"id": '"work"', "keywords": '["工作"]'} | changed
    return "[[provider]]\n" + "\n".join(f"{name} = {value}" for name, value in fields.items())


def test_the_packages_file_says_what_the_contract_says() -> None:
    source = files("uniassist.gateway.providers").joinpath("providers.toml").read_text("utf-8")
    catalogue = parse(source, **{PLAN_URL: "http://plan:8890/"})
    chinese = {
        each.provider_id: " ".join(word for word in each.keywords if not word.isascii())
        for each in catalogue.providers
    }
    assert chinese == {
        "plan": "计划 安排 日程 目标 规划",
        "work": "工作 任务 项目 会议 汇报 交付",
        "reminder": "提醒 记录 待办 通知",
    }
    english = {each.provider_id for each in catalogue.providers if any(word.isascii() for word in each.keywords)}
    assert english == {"plan", "work", "reminder"}
    assert all(each.example("en").isascii() and not each.example("zh").isascii() for each in catalogue.providers)
    urls = {each.provider_id: each.base_url for each in catalogue.providers}
    assert urls == {"plan": "http://plan:8890", "work": None, "reminder": None}


def test_what_an_entry_says_is_taken() -> None:
    catalogue = parse(entry(base_url='"https://work.example/api/"', concurrency="3", timeout_ms="1500"))
    [work] = catalogue.providers
    assert (work.base_url, work.concurrency, work.timeout_seconds) == ("https://work.example/api", 3, 1.5)
    assert catalogue.get("work") is work
    assert catalogue.get("plan") is None


def test_a_chat_is_an_entry_of_its_kind_and_needs_no_keywords() -> None:
    chat = f"""[[provider]]
id = "chat"
kind = "openai"
fallback = true
base_url = "http://127.0.0.1:1/v1/"
model = "m"
api_key_env = "{KEY}"
"""
    catalogue = parse(f"{entry(base_url=chr(34) + 'http://work' + chr(34))}\n{chat}")
    found = catalogue.fallback
    assert found is not None
    assert (found.provider_id, found.kind, found.token, found.keywords) == (
        "chat",
        "openai",
        "0123456789abcdef",
        (),
    )
    assert found.options == Options(model="m")
    assert [each.provider_id for each in catalogue.specialists] == ["work"]
    assert parse(entry()).fallback is None


def test_how_long_an_answer_may_take() -> None:
    [plain] = parse(entry()).providers
    assert (plain.idle_timeout_seconds, plain.total_timeout_seconds, plain.run_timeout_ms) == (30, 600, 86_400_000)
    [own] = parse(entry(idle_timeout_ms="500", total_timeout_ms="2000", run_timeout_ms="3000")).providers
    assert (own.idle_timeout_seconds, own.total_timeout_seconds, own.run_timeout_ms) == (0.5, 2, 3000)


def test_keywords_may_be_a_table_by_language() -> None:
    table = '{ zh = ["工作"], en = ["work", "工作"] }'
    assert parse(entry(keywords=table)).providers[0].keywords == ("工作", "work")
    assert parse(entry(keywords='{ en = ["work"] }')).providers[0].keywords == ("work",)


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
        (entry(keywords="{ }"), "keywords"),
        (entry(keywords="{ en = [] }"), "keywords"),
        (entry(keywords='{ fr = ["travail"] }'), "keywords"),
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
        (entry(idle_timeout_ms="0"), "idle_timeout_ms"),
        (entry(total_timeout_ms="86400001"), "total_timeout_ms"),
        (entry(run_timeout_ms="true"), "run_timeout_ms"),
        (entry(kind='"telepathy"'), "kind"),
        (entry(kind='"openai"'), "model"),
        (entry(kind='"openai"', model='""'), "model"),
        (entry(kind='"openai"', model='"m"', temperature="3"), "temperature"),
        (entry(kind='"openai"', model='"m"', api_key_env='"PATH"'), "api_key_env"),
        (entry(api_key_env=f'"{KEY}"', token_env=f'"{KEY}"'), "api_key_env"),
        (entry(model='"m"'), "model"),
        (entry(fallback="true") + "\n" + entry(id='"chat"', fallback="true"), "fallback"),
        (entry(id='"builtin_chat"'), "builtin_chat"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_fields(source: str, named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(source)
    assert str(refused.value).startswith("mine.toml: ")
    assert named in str(refused.value)
