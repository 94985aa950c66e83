"""What the release tool has recorded, shown; rolling out and back stay in the terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from uniassist.contracts.base import SCHEMA_VERSION, SchemaVersion, TimestampMs, Wire
from uniassist.errors import NotFound
from uniassist.gateway.console import release_files
from uniassist.gateway.console.access import CONSOLE, READS, Access
from uniassist.gateway.console.lives import Mask
from uniassist.gateway.console.talk import NOT_KEPT, TAGS
from uniassist.gateway.turns.ids import now_ms
from uniassist.web import requests
from uniassist.web.operations import Operation, Parameter, serves
from uniassist.web.responses import json_response

_FOLDER = Parameter("folder", "query", "The bundle's.", required=True, example="20261130T070000Z-rollout-1")
_FILE = Parameter("file", "query", "One that the bundle names.", required=True, example="evidence.md")


class Releases(Wire, frozen=True):
    """As the files of the release tool's home say, masked; their members are described in `release/records`.

    `runs`, `incidents`, `evidence`, `reports`: newest first; drills' are among these.
    `next_command`: to copy; `safe_command`: what to do instead.
    """

    schema_version: SchemaVersion
    now: TimestampMs
    environments: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    releases: dict[str, dict[str, Any]]
    incidents: list[dict[str, Any]]
    evidence: list[dict[str, Any]]
    problems: list[str]
    next_command: str
    safe_command: str


class EvidenceText(Wire, frozen=True):
    schema_version: SchemaVersion
    text: str


class ReleaseRoutes:
    """`home` None: the setting names none, and nothing is shown. `reports`: where drills' lie."""

    def __init__(self, *, access: Access, home: Path | None, reports: Path | None, mask: Mask) -> None:
        self._access = access
        self._home = home
        self._reports = reports
        self._mask = mask

    @serves(
        Operation(
            "GET",
            "/console/v0/releases",
            "What runs where, the last rollouts with their journals, and the reports",
            Releases,
            parameters=READS,
            security=CONSOLE,
            problems=(NotFound,),
            tags=TAGS,
        )
    )
    async def console_releases(self, request: Request) -> Response:
        self._access.reader(request)
        found = await asyncio.to_thread(release_files.read, self._known_home(), self._reports)
        command, safe = release_files.next_command(found)
        answer = Releases(
            schema_version=SCHEMA_VERSION,
            now=now_ms(),
            environments=self._mask(found.environments),
            runs=self._mask(found.runs),
            reports=self._mask(found.reports),
            releases=self._mask(found.releases),
            incidents=self._mask(found.incidents),
            evidence=self._mask(found.evidence),
            problems=found.problems,
            next_command=command,
            safe_command=safe,
        )
        return json_response(answer, headers=NOT_KEPT)

    @serves(
        Operation(
            "GET",
            "/console/v0/evidence",
            "A file of an evidence bundle",
            EvidenceText,
            parameters=(_FOLDER, _FILE, *READS),
            security=CONSOLE,
            problems=(NotFound,),
            tags=TAGS,
            description="Its first mebibyte, as text, masked.",
        )
    )
    async def console_evidence(self, request: Request) -> Response:
        self._access.reader(request)
        fields = requests.query(request)
        folder, name = (requests.text_field(fields, each.name) for each in (_FOLDER, _FILE))
        text = await asyncio.to_thread(release_files.evidence_file, self._known_home(), folder, name)
        if text is None:
            raise NotFound("file: the bundle has no such file")
        return json_response(EvidenceText(schema_version=SCHEMA_VERSION, text=self._mask(text)), headers=NOT_KEPT)

    def _known_home(self) -> Path:
        if self._home is None:
            raise NotFound("UNIASSIST_CONSOLE_RELEASE_DIR: not set here, so that no releases are shown")
        return self._home
