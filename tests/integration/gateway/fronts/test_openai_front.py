"""OpenAI's own client against a gateway: models, conversations, forms, repeats, drops, a gateway killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from tests.integration.gateway.client import GatewayClient, interactions, unique
from tests.integration.gateway.fronts.conftest import FRONTED, when_fronted
from tests.integration.gateway.tokens import bearer
from tests.processes import ServiceProcess
from tests.streaming_provider import StreamingProvider
from tests.waiting import eventually

from uniassist.web.calling.client import JsonClient

SESSION = "x-uniassist-session"


@pytest.fixture
async def client(fronted: GatewayClient) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{fronted.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def said(*texts: str) -> list[ChatCompletionMessageParam]:
    """A conversation as such clients send it: all of it, the person's turns and ours."""
    roles = ("user", "assistant")
    return [
        {"role": "user", "content": text} if roles[n % 2] == "user" else {"role": "assistant", "content": text}
        for n, text in enumerate(texts)
    ]


async def ask(client: AsyncOpenAI, texts: Iterable[str], model: str = "uniassist", **more: object) -> str:
    answer = await client.chat.completions.create(model=model, messages=said(*texts), user=unique("o"), **more)  # type: ignore[call-overload]
    assert answer.choices[0].finish_reason == "stop"
    return str(answer.choices[0].message.content)


async def streamed(
    client: AsyncOpenAI, texts: Iterable[str], *, user: str, key: str | None = None, drop_after: int | None = None
) -> tuple[str, str]:
    """The text and the completion's id. `drop_after`: so many pieces, and then the connection is closed."""
    headers = {} if key is None else {"Idempotency-Key": key}
    pieces, completion_id = list[str](), ""
    stream = await client.chat.completions.create(
        model="uniassist", messages=said(*texts), stream=True, user=user, extra_headers=headers
    )
    async with stream:
        async for chunk in stream:
            completion_id = chunk.id
            pieces.append(chunk.choices[0].delta.content or "")
            if drop_after is not None and sum(map(bool, pieces)) >= drop_after:
                break
    return "".join(pieces), completion_id


async def test_every_connected_provider_is_a_model(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["uniassist", *FRONTED]
    assert (await client.models.retrieve("plan")).owned_by == "uniassist"
    with pytest.raises(openai.NotFoundError, match="expected one of uniassist, calm, plan, rpc"):
        await client.models.retrieve("gpt-9")


async def test_a_message_is_routed_and_answered_whole(client: AsyncOpenAI) -> None:
    assert await ask(client, ["calm d:a:Other_words e:a:Good_day m:and_more end"]) == "Good_day\n\nand_more"
    assert "I can help you with" in await ask(client, ["what can you do?"])


async def test_a_provider_is_asked_by_its_name_whatever_is_said(
    client: AsyncOpenAI, streams: StreamingProvider
) -> None:
    assert await ask(client, ["m:plan end"], "calm") == "plan"
    assert streams.calls[-1]["input"]["text"] == "m:plan end"


async def test_text_comes_as_it_is_written(client: AsyncOpenAI, streams: StreamingProvider) -> None:
    streams.let_go.clear()
    seen = list[str]()
    stream = await client.chat.completions.create(
        model="uniassist",
        messages=said("calm d:a:Good_ d:a:morning wait e:a:Good_morning end".replace("e:a:Good_", "e:a:Good ")),
        stream=True,
        user=unique("o"),
    )
    async with stream:
        async for chunk in stream:
            seen.append(chunk.choices[0].delta.content or "")
            if "".join(seen) == "Good morning":
                streams.let_go.set()  # only now is there a durable event
            finish = chunk.choices[0].finish_reason
    assert finish == "stop"


async def test_a_conversation_of_an_ordinary_client_is_one_session(client: AsyncOpenAI) -> None:
    """Which sends all of it each time, and no name."""
    user = unique("o")
    texts = list[str]()
    sessions = list[str]()
    for text in ("hello there", "calm m:one end", "calm m:two end"):
        texts.append(text)
        raw = await client.chat.completions.with_raw_response.create(
            model="uniassist", messages=said(*texts), user=user
        )
        sessions.append(raw.headers[SESSION])
        texts.append(str(raw.parse().choices[0].message.content))
    assert len(set(sessions)) == 1
    assert texts[-1] == "two"
    other = await client.chat.completions.with_raw_response.create(
        model="uniassist", messages=said("another beginning"), user=user
    )
    assert other.headers[SESSION] not in sessions


async def test_a_session_is_named_by_header_or_metadata(client: AsyncOpenAI, fronted: GatewayClient) -> None:
    user, first, second = unique("o"), unique("named"), unique("named")
    for named in (
        {"extra_headers": {SESSION: first}},
        {"metadata": {"session_id": second}},
    ):
        await client.chat.completions.create(model="uniassist", messages=said("hello"), user=user, **named)  # type: ignore[call-overload]
    for session_id in (first, second):
        events = await fronted.timeline(session_id)
        assert [event["payload"]["input"]["text"] for event in events if event["kind"] == "inbound"] == ["hello"]


async def test_a_form_is_a_question_and_the_next_message_fills_it_in(client: AsyncOpenAI) -> None:
    user = unique("o")
    texts = ["plan a trip to Tokyo"]
    for answer, expected in (
        ("Due date: 2099-03-13\nConstraints: budget 500", "- Due date"),
        ("thanks a lot!", "Plan for “a trip to Tokyo”"),
    ):
        made = await client.chat.completions.create(model="uniassist", messages=said(*texts), user=user)
        text = str(made.choices[0].message.content)
        assert expected in text
        texts += [text, answer]
    assert "budget 500" in text


async def test_a_choice_is_taken_by_its_number(client: AsyncOpenAI, streams: StreamingProvider) -> None:
    user = unique("o")
    texts = ["what can you do?"]
    first = await client.chat.completions.create(model="uniassist", messages=said(*texts), user=user)
    text = str(first.choices[0].message.content)
    assert "1. calm\n2. plan" in text
    texts += [text, "2"]
    answer, _ = await streamed(client, texts, user=user)
    assert "I will plan it" in answer


async def test_a_repeat_under_its_key_is_the_same_request(client: AsyncOpenAI, streams: StreamingProvider) -> None:
    user, key, text = unique("o"), unique("key"), f"calm m:{unique('once')} end"
    first = await streamed(client, [text], user=user, key=key)
    assert await streamed(client, [text], user=user, key=key) == first
    assert streams.texts.count(text) == 1
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await streamed(client, [f"{text} more"], user=user, key=key)
    assert refused.value.code == "idempotency_conflict"


async def test_an_answer_to_a_question_is_repeated_too(client: AsyncOpenAI) -> None:
    user, key = unique("o"), unique("key")
    texts = ["plan a trip to Rome"]
    first = await client.chat.completions.create(model="uniassist", messages=said(*texts), user=user)
    texts += [str(first.choices[0].message.content), "Due date: 2099-03-13"]
    made = await streamed(client, texts, user=user, key=key)
    assert "Plan for “a trip to Rome”" in made[0]
    assert await streamed(client, texts, user=user, key=key) == made


async def test_a_stream_that_dropped_is_read_again_under_its_key(
    client: AsyncOpenAI, streams: StreamingProvider
) -> None:
    streams.let_go.clear()
    user, key, name = unique("o"), unique("key"), unique("drop")
    text = f"calm d:a:{name} wait e:a:{name} m:then end"
    part, _ = await streamed(client, [text], user=user, key=key, drop_after=1)
    assert part == name
    streams.let_go.set()
    whole, _ = await streamed(client, [text], user=user, key=key)
    assert whole == f"{name}\n\nthen"
    assert streams.texts.count(text) == 1


async def test_a_gateway_killed_in_the_middle_loses_nothing(
    service: Callable[..., ServiceProcess],
    fronts_env: Mapping[str, str],
    fronted: GatewayClient,
    client: AsyncOpenAI,
    streams: StreamingProvider,
    http: JsonClient,
) -> None:
    """The client goes to another instance with its key, and has the whole answer, once."""
    streams.let_go.clear()
    victim = service("gateway", **fronts_env)
    await when_fronted(http, victim.url)
    user, key, name, session_id = unique("o"), unique("key"), unique("kill"), unique("killed")
    text = f"calm m:{name} d:a:half wait e:a:half_and_whole end"
    seen = asyncio.Event()

    async def reads(to: AsyncOpenAI) -> str:
        pieces = list[str]()
        stream = await to.chat.completions.create(
            model="uniassist",
            messages=said(text),
            user=user,
            stream=True,
            extra_headers={"Idempotency-Key": key, SESSION: session_id},
        )
        async with stream:
            async for chunk in stream:
                pieces.append(chunk.choices[0].delta.content or "")
                if "half" in "".join(pieces):
                    seen.set()
        return "".join(pieces)

    async with AsyncOpenAI(base_url=f"{victim.url}/v1", api_key="none", max_retries=0) as doomed:
        reading = asyncio.create_task(reads(doomed))
        await asyncio.wait_for(seen.wait(), 60)
        await asyncio.to_thread(victim.kill)
        with pytest.raises((openai.APIError, Exception)):
            await reading
    again = asyncio.create_task(reads(client))
    run_id = streams.calls[-1]["run"]["runId"]
    await eventually(lambda: streams.attempts[run_id] >= 2, "the call is made again", 60)
    streams.let_go.set()
    assert await again == f"{name}\n\nhalf_and_whole"
    texts = [each["text"] for each in interactions(await fronted.timeline(session_id), run_id)]
    assert texts == [name, "half_and_whole"]


async def test_what_is_refused_is_refused_in_openais_shape(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await ask(client, ["hello"], "gpt-9")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="since the last message") as not_theirs:
        await client.chat.completions.create(model="uniassist", messages=said("hello", "hello yourself"))
    assert not_theirs.value.param == "messages[1].role"
    with pytest.raises(openai.BadRequestError, match="n: expected 1"):
        await ask(client, ["hello"], n=3)
    with pytest.raises(openai.BadRequestError, match="expected an http or https URL"):
        await client.chat.completions.create(
            model="uniassist",
            messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}],
        )


async def test_an_app_token_is_the_api_key(guarded: GatewayClient) -> None:
    token = bearer(unique("o"))["authorization"].removeprefix("Bearer ")
    url, session_id = f"{guarded.url}/v1", unique("token")
    async with AsyncOpenAI(base_url=url, api_key="sk-no-token", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.models.list()
        assert refused.value.type == "authentication_error"
    headers = {SESSION: session_id}
    async with AsyncOpenAI(base_url=url, api_key=token, max_retries=0) as person:
        answer = await person.chat.completions.create(
            model="uniassist", messages=said("hello"), extra_headers=headers
        )
        assert answer.choices[0].message.content
    other_token = bearer(unique("o"))["authorization"].removeprefix("Bearer ")
    async with AsyncOpenAI(base_url=url, api_key=other_token, max_retries=0) as other:
        with pytest.raises(openai.NotFoundError):
            await other.chat.completions.create(model="uniassist", messages=said("hello"), extra_headers=headers)
