"""What may stand behind a tag."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.release.repositories import repository

from uniassist.errors import StartError
from uniassist.release.revision import git


def test_a_tag_of_something_else_than_a_commit_is_named_as_what_it_is(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    commit = repo.git("rev-parse", "HEAD")
    repo.git("tag", "plain")
    repo.git("tag", "-a", "annotated", "-m", "x")
    repo.git("tag", "-a", "of-a-tag", "-m", "x", "annotated")
    repo.git("tag", "tree", "HEAD^{tree}")
    repo.git("tag", "-a", "blob", "-m", "x", "HEAD:pyproject.toml")

    assert [git.tag_commit(tmp_path, tag) for tag in ("plain", "annotated", "of-a-tag")] == [commit] * 3
    assert git.tag_commit(tmp_path, "main") is None
    for tag in ("tree", "blob"):
        with pytest.raises(StartError, match=f"{tag} is the tag of a {tag}, not of a commit"):
            git.tag_commit(tmp_path, tag)
