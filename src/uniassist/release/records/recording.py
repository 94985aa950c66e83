"""What a command found, kept as evidence once it has ended."""

from __future__ import annotations

from typing import Any

from uniassist.errors import StartError
from uniassist.release.records.records import Records
from uniassist.release.report.place import place
from uniassist.release.report.reporter import ReleaseReporter


def keep(
    reporter: ReleaseReporter, records: Records, document: dict[str, Any], commit: str | None, **known: Any
) -> None:
    """Keep `document` and the reporter's lines; with a commit and success also what is known of that from now on.

    document: has at least `command`, `exitCode` and `endedAt`.
    commit: None where the command was about no commit.
    known: what is remembered of the commit under the command's last word.

    That it can't be kept is said, and changes nothing about what was found.
    """
    command = str(document["command"]).split()[-1]
    try:
        path = records.keep_run(command, reporter.masker.mask_document(document), reporter.lines)
        if commit is not None and document["exitCode"] != 0:
            records.forget(commit, command)  # the last word counts
        elif commit is not None:
            records.know(commit, **{command: {"at": document["endedAt"], "run": path.name, **known}})
        reporter.say(f"record: {place(path)}")
    except StartError as error:
        reporter.say(f"NO record: {error}")
