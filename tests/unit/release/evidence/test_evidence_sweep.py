from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.release.evidence.sweep import Sweep
from uniassist.release.report.masking import MASK, Masker

secrets = st.text(st.characters(categories=["L", "Nd"]), min_size=12, max_size=40)
forms: list[Callable[[str], str]] = [
    str,
    quote_plus,
    lambda s: quote(s, safe=""),
    lambda s: json.dumps(s)[1:-1],
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
]
# How a log, a terminal or a JSON document cuts what is too long for one line.
cuts = st.sampled_from(["\n", "\n      ", "\r\n> ", '",\n    "', "\\n", "\\\n", " \\n  "])


@pytest.mark.parametrize("form", forms, ids=["raw", "plus", "quoted", "json", "base64", "base64url"])
@given(secret=secrets, cut=cuts, places=st.sets(st.integers(1, 60), max_size=4))
def test_a_secret_is_found_in_any_form_and_cut_anywhere(
    form: Callable[[str], str], secret: str, cut: str, places: set[int]
) -> None:
    shown = form(secret)
    ends = sorted(place for place in places if place < len(shown))
    parts = [shown[start:end] for start, end in zip([0, *ends], [*ends, len(shown)], strict=True)]
    swept, found = Sweep([{"STAGING_CONTEXT_TOKEN": secret}]).redact(f"before {cut.join(parts)} after")
    assert found == ["STAGING_CONTEXT_TOKEN"]
    # What may be left: base64's last character, which what follows has a part in, between the n of two cuts.
    left = "".join(filter(str.isalnum, swept)).removeprefix("before").removesuffix("after")
    assert len(left.replace("n", "", 2)) <= 1


def test_what_is_no_secret_stays_and_the_sweep_of_nothing_says_so() -> None:
    text = "gate green\nSTAGING_CONTEXT_TOKEN was refused (401)\n" + json.dumps({"a": ["staging", "token"]})
    assert Sweep([{"STAGING_CONTEXT_TOKEN": "staging-token-0123"}]).redact(text) == (text, [])
    assert Sweep([{"PATH": "/bin", "STAGING_CONTEXT_TOKEN": " "}]).variables == []


def test_the_password_of_a_url_is_found_on_its_own_and_a_json_document_stays_one() -> None:
    sweep = Sweep([{"DATABASE_URL": "postgresql://me:pass-word-0123@db/uniassist"}])
    text = json.dumps(
        {"lines": ["it is pass-wo", "rd-0123", "postgresql://me:pass-word-0123@db/uniassist"]}, indent=1
    )
    swept, found = sweep.redact(text)
    assert found == ["DATABASE_URL"]
    assert json.loads(swept) == {"lines": ["it is ***", "postgresql://me:***@db/uniassist"]}
    assert sweep.found_in(swept) == []


def test_each_line_of_a_key_of_several_lines_is_a_secret_of_its_own() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----"
    text = "07:00 -----BEGIN KEY-----\n07:00 MIIEvQIBADANBgkqhkiG\n07:00 9w0BAQEFAASCBKcwggSj"
    swept = Masker([key]).mask(text)
    assert swept == f"07:00 -----BEGIN KEY-----\n07:00 {MASK}\n07:00 {MASK}"
