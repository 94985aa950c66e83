"""What is a chat interface's own question, and what is a person's message however much it looks like one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from uniassist.contracts.bounds import MAX_BODY_BYTES
from uniassist.gateway.fronts.openai.shapes import ChatMessage, ChatRequest
from uniassist.gateway.fronts.openai.side_requests import side_answer

LIBRECHAT = "Provide a concise, 5-word-or-less title for the conversation"


def answered(text: str) -> str | None:
    return side_answer(ChatRequest("uniassist", [ChatMessage("user", text)]))


@pytest.mark.parametrize(
    "text",
    [
        f"{LIBRECHAT}, please",
        f"{LIBRECHAT} that we had yesterday:\nit was about Porto",
        "### Task:\nSummarize <chat_history>",
    ],
)
def test_what_quotes_no_conversation_is_a_persons_message(text: str) -> None:
    assert answered(text) is None


def test_a_title_is_how_the_person_began() -> None:
    assert answered(f"{LIBRECHAT}.\n\nConversation:\n\n  User: a trip\nAI: When?") == "a trip"
    assert answered(f"{LIBRECHAT}.\n\nUser:\nAI: When?") == ""


def test_a_body_of_blank_lines_is_read_at_once() -> None:
    """In a process of its own, which can be ended: a search that goes on for hours can't be interrupted here."""
    blank = f"{LIBRECHAT}{{}}User: a".format("\n" * (MAX_BODY_BYTES - 100))
    code = (
        "import sys; from tests.unit.gateway.fronts.test_openai_side_requests import answered; "
        "print(answered(sys.stdin.read()))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=blank, capture_output=True, text=True, timeout=30)
    assert done.stdout == "a\n", done.stderr
