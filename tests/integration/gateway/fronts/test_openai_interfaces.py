"""What chat interfaces ask for beside plain completions, with OpenAI's own client: as Open WebUI and LibreChat do.

Their prompts are shortened here; the beginnings and marks by which they are known are as they send them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from tests.integration.gateway.client import GatewayClient, unique
from tests.streaming_provider import StreamingProvider

CHAT = "x-openwebui-chat-id"
SAID = "USER: plan a trip to Porto with the children\nASSISTANT: When?"
HISTORY = f"### Chat History:\n<chat_history>\n{SAID}\n</chat_history>"
TITLE = f'### Task:\nGenerate a title.\n### Output:\nJSON format: {{ "title": "your title here" }}\n{HISTORY}'
TAGS = f'### Task:\nGenerate broad tags.\n### Output:\nJSON format: {{ "tags": ["tag1", "tag2"] }}\n{HISTORY}'
LOOKED_UP = (
    "### Task:\nRespond to the user query using the provided context.\n<context>a</context>\ncalm m:found end"
)


@pytest.fixture
async def client(fronted: GatewayClient) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{fronted.url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def ask(client: AsyncOpenAI, text: str, chat_id: str, user: str, system: str | None = None) -> str:
    first = [] if system is None else [{"role": "system", "content": system}]
    answer = await client.chat.completions.create(
        model="uniassist",
        messages=[*first, {"role": "user", "content": text}],  # type: ignore[list-item]
        user=user,
        extra_headers={CHAT: chat_id},
    )
    return str(answer.choices[0].message.content)


async def test_a_title_and_tags_are_nobodys_message(
    client: AsyncOpenAI, fronted: GatewayClient, streams: StreamingProvider
) -> None:
    """Open WebUI asks for them under the conversation's own id, and quotes words that a provider listens to."""
    chat_id, user, calls = unique("chat"), unique("o"), len(streams.calls)
    raw = await client.chat.completions.with_raw_response.create(
        model="uniassist",
        messages=[{"role": "user", "content": "calm m:one end"}],
        user=user,
        extra_headers={CHAT: chat_id},
    )
    session_id = raw.headers["x-uniassist-session"]
    before = await fronted.timeline(session_id)
    assert json.loads(await ask(client, TITLE, chat_id, user)) == {
        "title": "plan a trip to Porto with the children"
    }
    assert json.loads(await ask(client, TAGS, chat_id, user)) == {"tags": []}
    convo = "User: wie wird das Wetter übermorgen in der Stadt Porto wohl werden?\nAI: Gut."
    prompt = "Provide a concise, 5-word-or-less title for the conversation, using title case conventions."
    title = await ask(client, f"{prompt}\n\nConversation:\n{convo}", chat_id, user, "You are a helper.")
    assert title == "wie wird das Wetter übermorgen in der…"
    assert await fronted.timeline(session_id) == before, "nothing of that was said"
    assert len(streams.calls) == calls + 1


async def test_a_title_is_streamed_where_that_is_asked(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="uniassist", messages=[{"role": "user", "content": TITLE}], stream=True
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert json.loads(text) == {"title": "plan a trip to Porto with the children"}
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_message_with_what_was_looked_up_for_it_stays_a_message(client: AsyncOpenAI) -> None:
    assert await ask(client, LOOKED_UP, unique("chat"), unique("o")) == "found"


async def test_usage_comes_last_where_it_is_asked_for(client: AsyncOpenAI) -> None:
    for text in ("calm m:one end", TITLE):
        stream = await client.chat.completions.create(
            model="uniassist",
            messages=[{"role": "user", "content": text}],
            stream=True,
            stream_options={"include_usage": True},
            user=unique("o"),
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 0
        assert all(chunk.choices for chunk in chunks[:-1])


async def test_a_conversation_by_its_id_is_one_session_whatever_it_begins_with(client: AsyncOpenAI) -> None:
    """Who edits the first message of a conversation goes on in it; the same words elsewhere are another."""
    user, chat_id = unique("o"), unique("chat")
    sessions = []
    for named, text in ((chat_id, "hello"), (chat_id, "hello, edited"), (unique("chat"), "hello")):
        raw = await client.chat.completions.with_raw_response.create(
            model="uniassist",
            messages=[{"role": "user", "content": text}],
            user=user,
            extra_headers={CHAT: named},
        )
        sessions.append(raw.headers["x-uniassist-session"])
    assert sessions[0] == sessions[1] != sessions[2]


async def test_everything_that_is_refused_has_openais_shape(fronted: GatewayClient, client: AsyncOpenAI) -> None:
    async with httpx.AsyncClient(base_url=fronted.url, timeout=60) as http:
        url = "/v1/chat/completions"
        for answer, status in (
            (await http.post(url, content=b"{oops", headers={"content-type": "application/json"}), 400),
            (await http.post(url, json={"model": "uniassist"}), 400),
            (await http.post(url, json={"model": "uniassist", "messages": []}), 400),
            (await http.post(url, json={"model": "nobody", "messages": [{"role": "user", "content": "x"}]}), 404),
            (
                await http.post(
                    url, content=b" " * (2 * 1024 * 1024), headers={"content-type": "application/json"}
                ),
                413,
            ),
        ):
            assert answer.status_code == status, answer.text
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert error["type"] == "invalid_request_error"
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="uniassist", input="x")
