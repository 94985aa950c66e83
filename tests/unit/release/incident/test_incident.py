from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.release_history import COMMITS, at, facts

from uniassist.errors import StartError
from uniassist.release.exit_codes import UsageRefused
from uniassist.release.incident.facts import changed_names, commits_between, excerpt
from uniassist.release.incident.incident import Changed, all_incidents, close_incident, find, open_incident
from uniassist.release.incident.page import durations, render
from uniassist.release.report.masking import Masker

RUN = "20261124T073000Z-rollback-v1"


def test_a_note_is_brought_up_to_date_and_keeps_its_opening_and_its_cause(tmp_path: Path) -> None:
    early = msgspec.structs.replace(facts(RUN), outcome="under way", verified_at=None)
    opened = open_incident(tmp_path, early, Masker())
    assert opened.is_open
    close_incident(tmp_path, RUN, "the pool was too small", "kim", Masker())

    later = open_incident(tmp_path, facts(RUN), Masker())

    assert (later.opened_at, later.facts.outcome) == (opened.opened_at, "verified")
    assert [cause.text for cause in later.causes] == ["the pool was too small"]
    assert find(tmp_path, RUN) == later
    assert (tmp_path / "incidents" / f"{RUN}.json").stat().st_mode & 0o077 == 0


def test_only_a_cause_in_words_closes_it_and_a_second_one_corrects_the_first(tmp_path: Path) -> None:
    open_incident(tmp_path, facts(RUN), Masker())
    for nothing in ("", "  ", "…", "..."):
        with pytest.raises(UsageRefused, match="--cause: expected the root cause"):
            close_incident(tmp_path, RUN, nothing, "kim", Masker())
    assert all_incidents(tmp_path)[0].is_open
    close_incident(tmp_path, RUN, "the network", "kim", Masker())
    closed = close_incident(tmp_path, RUN, "a pool of 5", "lee", Masker())
    page = render(closed)
    assert page.startswith(f"# Incident {RUN}: closed\n")
    assert page.index("a pool of 5 (lee") < page.index("Before that: the network (kim")


def test_a_run_without_a_note_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    open_incident(tmp_path, facts(RUN), Masker())
    with pytest.raises(UsageRefused, match=RUN):
        close_incident(tmp_path, "another", "because", "kim", Masker())
    with pytest.raises(UsageRefused, match="expected a run's name"):
        find(tmp_path, "../../pins")


def test_a_damaged_note_is_an_error_and_not_a_missing_one(tmp_path: Path) -> None:
    open_incident(tmp_path, facts(RUN), Masker())
    (tmp_path / "incidents" / f"{RUN}.json").write_text("{}")
    with pytest.raises(StartError, match="can't be read"):
        find(tmp_path, RUN)


def test_the_page_tells_the_durations_and_that_a_budget_was_overrun() -> None:
    within = facts(RUN)
    assert [seconds for _, _, seconds in durations(within)] == ["180.0", "60.0", "240.0"]
    over = msgspec.structs.replace(within, verified_at=at(50), first_failed=None)
    assert [seconds for _, _, seconds in durations(over)] == [
        "not known",
        "1200.0, over the budget of 900 s",
        "not known",
    ]


def test_what_others_wrote_stays_inside_its_block_and_its_cell(tmp_path: Path) -> None:
    page = render(open_incident(tmp_path, facts(RUN, log="```\n# no heading | ```"), Masker()))
    assert "\n````text\n```\n# no heading | ```\n````\n" in page
    assert "| stop the worker \\| v2 |" in page
    assert f'uniassist release incident close {RUN} --cause "…"' in page


def test_variables_are_named_and_never_their_values() -> None:
    before = {"A": "1", "B": "secret-one", "C": "3"}
    after = {"A": "1", "B": "secret-two", "D": "4"}
    assert changed_names(before, after) == Changed(added=("D",), removed=("C",), changed=("B",))


def test_without_git_the_note_says_that_the_commits_are_not_known(tmp_path: Path) -> None:
    found = commits_between(tmp_path, COMMITS["v1"], COMMITS["v2"])
    assert (found.lines, found.said.startswith("not known: ")) == ((), True)
    assert "isn't recorded" in commits_between(tmp_path, None, COMMITS["v2"]).said


def test_an_excerpt_is_the_end_of_a_log_and_masked_before_it_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    secret = "0123456789abcdef"
    log.write_text("\n".join(f"line {number}" for number in range(20_000)) + f"\n{'x' * 395}{secret}\n")
    found = excerpt("worker", log, Masker([secret]))
    assert (len(found.lines), found.lines[0]) == (30, "line 19971")
    assert secret[:5] not in found.lines[-1]
    assert excerpt("worker", tmp_path / "none.log", Masker()).lines == ("can't be read: No such file or directory",)
