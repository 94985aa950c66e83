"""A person's conversation in English over the API, as its transcripts in `docs/` have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.integration.gateway.client import GatewayClient, Json, interaction, message, unique
from tests.waiting import eventually

YOU, THEY = "**You:** ", "**UniAssist:** "
MONDAY_MS, DAY_MS = 1_772_445_600_000, 25 * 3600 * 1000  # 2026-03-02 10:00 UTC
NEXT_DAY, SUBMITS = "*(the next day)*", "*(submits the form)*"
SENDS: dict[str, str] = {"*(sends a picture)*": "image", "*(sends a voice message)*": "audio"}


def said(event: Json) -> str:
    """An interaction as an app would show it, in a line."""
    shown = event["payload"]["event"]
    if shown["type"] == "provider_extension":
        fields = shown["payload"].get("dataSchema", {}).get("properties", {})
        if shown["extensionKind"] != "data_collection_request":
            return ""
        return "Form: " + ", ".join(f"{each['title']} [{each.get('default', '')}]" for each in fields.values())
    if shown["type"] == "card":
        return f"Card: {shown['title']} [{shown['actions'][0]['label']}]"
    text: str = shown.get("text") or shown.get("message") or shown.get("question") or ""
    return text.replace("\n", " / ")


def written_down(head: str, spoken: Sequence[str]) -> str:
    """The transcript in Markdown. `spoken`: its lines, without what ends them."""
    lines = [each if each[1] == "(" else f"{each}  " for each in spoken]
    return "\n\n".join([head, "\n".join(lines)]) + "\n"


async def held_as_written(chat: Chat, transcript: Path, directory: Path) -> list[str]:
    """The lines, which must be the transcript's, when the person says theirs again; at least 25 are theirs."""
    written = transcript.read_text(encoding="utf-8")
    lines = [line.removesuffix("  ") for line in written.splitlines() if line.startswith(("**", "*("))]
    spoken: list[str] = []
    for line in lines:
        if not line.startswith(THEY):
            spoken.append(line)
            spoken += [f"{THEY}{each}" for each in await chat.say(line.removeprefix(YOU))]
    said = directory / transcript.name
    said.write_text(written_down(written.partition("\n\n**")[0], spoken), encoding="utf-8")
    assert spoken == lines, f"read {said}, and copy it to docs/ if it is as it should be"
    assert len([line for line in lines if line.startswith(YOU)]) >= 25
    return lines


class Chat:
    """`wait_seconds`: for all that answers one line."""

    def __init__(self, gateway: GatewayClient, wait_seconds: float = 20) -> None:
        self.gateway = gateway
        self.wait_seconds = wait_seconds
        self.session = unique("english")
        self.cursor = 0
        self.at_ms = MONDAY_MS
        self.plan_run = ""

    async def say(self, text: str) -> list[str]:
        if text == NEXT_DAY:
            self.at_ms += DAY_MS
            return []
        if text == SUBMITS:
            values = {"goal": "Osaka", "dueDate": "next Friday", "constraints": "budget 2000"}
            asked = interaction(
                self.session,
                "submit_data_collection",
                runId=self.plan_run,
                payload={"values": values},
                timestampMs=self.at_ms,
            )
            for _ in range(2):  # a double tap
                assert (await self.gateway.post("/v0/interact", asked)).status == 200
            return await self.heard(lambda events: any(is_confirmed(each) for each in events))
        sent: Json = {"sessionId": self.session, "timestampMs": self.at_ms}
        if text in SENDS:
            sent["attachments"] = [{"id": unique("medium"), "type": SENDS[text]}]
        ack = await self.gateway.ingest(message("" if text in SENDS else text, **sent))
        if ack["sessionId"] != self.session:
            self.session, self.cursor = ack["sessionId"], 0
        runs = {run["runId"] for run in ack["runs"]}
        self.plan_run = next((run["runId"] for run in ack["runs"] if run["providerId"] == "plan"), self.plan_run)
        return await self.heard(lambda events: runs | opened(events) <= {run_of(e) for e in events if has_ended(e)})

    async def heard(self, is_all: Callable[[list[Json]], bool]) -> list[str]:
        events: list[Json] = []

        async def there() -> bool:
            events[:] = await self.gateway.timeline(self.session, self.cursor)
            shown = [each for each in events if each["kind"] == "interaction"]
            return is_all(shown) or is_all(events)

        await eventually(there, "it is answered", self.wait_seconds, self.wait_seconds / 600)
        self.cursor = events[-1]["seq"]
        shown = [said(each) for each in events if each["kind"] == "interaction"]
        return [each for each in shown if each]


def is_confirmed(event: Json) -> bool:
    return event["kind"] == "interaction" and "confirmed" in said(event)


def run_of(event: Json) -> str:
    return str(event.get("runId"))


def opened(events: Sequence[Json]) -> set[str]:
    """Runs that began meanwhile, those that were handed over among them."""
    return {run_of(each) for each in events if each["kind"] == "provider_run"}


def has_ended(event: Json) -> bool:
    return event["kind"] == "provider_run" and event["payload"]["status"] in ("completed", "failed")
