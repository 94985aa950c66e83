"""A provider that does what its messages say; run by the SDK's tests as a process of its own."""

from __future__ import annotations

import asyncio
import itertools

from uniassist.contracts.interaction import Nav
from uniassist.contracts.provider import ErasureRequest
from uniassist.provider import Call, Gateway, Provider, Run

every = Provider(
    "every",
    name="Every",
    description="Does what it is told.",
    events=["assistant_message", "ack", "provider_extension"],
    answers_within_ms=1000,
)
times = itertools.count(1)
forgotten: list[str] = []


@every.invoke
async def answer(call: Call) -> str | None:
    word, _, rest = call.text.partition(" ")
    if word == "count":
        return f"{next(times)}"
    if word == "slow":
        await asyncio.sleep(float(rest))
        return "at last"
    if word == "fail":
        raise RuntimeError("as I was told")
    if word == "undeclared":
        await call.send(Nav(label="x", href="/x"))
    if word == "many":
        for number in range(101):
            await call.say(f"{number}")
    if word == "drip":
        for number in itertools.count():
            await call.write(f"{number} ")
            await asyncio.sleep(0.01)
    if word == "pieces":
        for piece in rest.split():
            await call.write(piece)
        await call.say("and whole")
        await call.write("last")
        call.expect_reply(hint="noted")
    if word == "later":
        call.in_background(go_on)
        return "I'm on it"
    if word == "fails-later":
        call.in_background(break_down)
    if word == "forgotten":
        return " ".join(forgotten)
    if call.continues is not None:
        return f"goes on with {call.hint}"
    return None


@every.erase
def forget(asked: ErasureRequest) -> None:
    forgotten.append(asked.user_id)


async def go_on(gateway: Gateway, run: Run) -> None:
    await gateway.progress(run, 1, 2, "half")
    await gateway.say(run, "done")


async def break_down(gateway: Gateway, run: Run) -> None:
    raise RuntimeError(f"as I was told in {run.run_id}")


if __name__ == "__main__":
    every.run(port=9009)
