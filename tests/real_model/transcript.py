"""A conversation in English over the API with a model behind the chat: what the person does, as data."""

from __future__ import annotations

from tests.integration.gateway.english_chat import NEXT_DAY, SUBMITS, THEY, YOU, Chat, written_down
from tests.real_model.system import System

WAIT_SECONDS = 300  # a model on a busy processor takes its time
DOES = (
    "Hi",
    "What can you do?",
    "What is the capital of France?",
    "Tell me one fact about the moon.",
    "Thanks a lot!",
    "Plan a trip to Tokyo",
    "make it Osaka instead",
    "*(sends a picture)*",
    "next Friday",
    "too expensive",
    "Thanks!",
    "budget 2000",
    SUBMITS,
    "What is Osaka famous for?",
    "Which dish should I try there?",
    "How do you say thank you in Japanese?",
    "Where do I travel to?",
    "*(sends a voice message)*",
    "I am a bit nervous about flying.",
    "schedule a weekly swim",
    "only in the evening",
    "cancel",
    "Tell me a joke.",
    "ok",
    "Good night",
    NEXT_DAY,
    "Hi",
    "What is 2 + 2?",
    "Plan a birthday party",
    "by the end of next month",
    "cancel",
    "see you tomorrow",
)
_HEAD = """# A conversation in English, with a model behind the chat

The model: {described}.

Small models say things that are wrong, and forget; this shows what the gateway makes of one, not how well a model
talks. Planning is the specialist that is connected, and answers what is its own. It is written down as it came, and
no test compares it."""


async def held(system: System, described: str) -> str:
    """The transcript, in Markdown."""
    chat = Chat(system.gateway, WAIT_SECONDS)
    spoken: list[str] = []
    for line in DOES:
        spoken.append(line if line.startswith("*(") else f"{YOU}{line}")
        spoken += [f"{THEY}{each}" for each in await chat.say(line)]
        print(spoken[-1], flush=True)
    return written_down(_HEAD.format(described=described), spoken)
