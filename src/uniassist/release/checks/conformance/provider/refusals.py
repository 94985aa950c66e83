"""What a provider refuses, and how."""

from __future__ import annotations

from typing import Any

from uniassist.contracts import codec
from uniassist.release.checks.conformance.provider.asking import AnsweredAsStream, Asking
from uniassist.release.checks.conformance.targets import Check
from uniassist.release.checks.service_client import expect_problem, json_body
from uniassist.release.report.checklist import CheckFailed, expect
from uniassist.web.calling.client import Answer, Unreachable

_OVERSIZE_BYTES = 3 * 1024 * 1024


class RefusalChecks:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def all(self) -> dict[str, Check]:
        return {
            "bad invokes": self.bad_invokes,
            "bad interacts": self.bad_interacts,
            "problems": self.problems,
            "bad text": self.bad_text,
            "oversize calls": self.oversize,
        }

    async def bad_invokes(self) -> str:
        bodies = self._bad(self._asking.call(), "input")
        for body in bodies:
            _expect_code(body, await self._asking.post("/v0/invoke", body), "INVALID_INVOKE_REQUEST")
        return f"{len(bodies)} of them"

    async def bad_interacts(self) -> str:
        bodies = self._bad(self._asking.interaction(), "interaction")
        for body in bodies:
            _expect_code(body, await self._asking.post("/v0/interact", body), "INVALID_INTERACT_REQUEST")
        return f"{len(bodies)} of them"

    async def problems(self) -> None:
        call = self._asking.call()
        call["run"]["attempt"] = "1"
        expect_problem(await self._asking.post("/v0/invoke", call), 400, "INVALID_INVOKE_REQUEST", "attempt")

    async def bad_text(self) -> None:
        good = codec.encode(self._asking.call("MARK"))
        for what, bad in (("invalid UTF-8", b"\xff\xfe"), ("U+0000", b"\\u0000"), ("a surrogate", b"\\ud800")):
            answer = await self._asking.post("/v0/invoke", good.replace(b"MARK", bad))
            expect(answer.status == 400, f"{what} in a text: expected 400, got {answer.status}")

    async def oversize(self) -> str:
        call = self._asking.call()
        call["input"]["raw"] = {"page": "x" * _OVERSIZE_BYTES}
        try:
            answer = await self._asking.post("/v0/invoke", call)
            said = f"{answer.status}"
            expect(answer.status == 413, f"a call of {_OVERSIZE_BYTES} bytes: expected 413, got {answer.status}")
        except Unreachable:
            said = "hung up"
        try:
            await self._asking.invoke(self._asking.call())
        except AnsweredAsStream:
            raise
        except Exception as error:
            raise CheckFailed(f"after a call of {_OVERSIZE_BYTES} bytes the next one fails: {error}") from None
        return said

    def _bad(self, good: dict[str, Any], subject: str) -> list[bytes]:
        without = {name: value for name, value in good.items() if name != subject}
        no_run_id = good | {"run": {name: value for name, value in good["run"].items() if name != "runId"}}
        mistyped = good | {"run": good["run"] | {"runId": 7}}
        other_version = good | {"schemaVersion": "v1"}
        broken = [b"", b"{", b"[]", b"{}"]
        return broken + [codec.encode(each) for each in (without, no_run_id, mistyped, other_version)]


def _expect_code(body: bytes, answer: Answer, code: str) -> None:
    sent = body[:60].decode("utf-8", "replace")
    expect(answer.status == 400, f"to {sent!r}: expected 400, got {answer.status}")
    said = json_body(answer)
    found = said.get("code") if isinstance(said, dict) else None
    expect(found == code, f"to {sent!r}: expected code {code}, got {found!r}")
