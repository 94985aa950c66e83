"""Forms and choices as questions in text, and the texts that answer them."""

from __future__ import annotations

from typing import Any

import pytest

from uniassist.contracts.interaction import (
    Ack,
    Action,
    AssistantMessage,
    Card,
    Choice,
    ErrorNotice,
    ExtensionPayload,
    Field,
    Form,
    InteractionEvent,
    Nav,
    Progress,
    ProviderExtension,
    RequestClarification,
)
from uniassist.gateway.fronts.asking import Answered, asked_in, read_answer, text_of

WHICH = RequestClarification(
    question="Which?", choices=[Choice(key="a", label="The red"), Choice(key="b", label="Blue")]
)
ONE = Form(
    form_id="f1",
    title="Room",
    fields=[Field(field_id="nights", label="Nights", kind="text", required=True)],
    submit=Action(action_id="book", label="Book", payload={"room": 7}),
)
SEVERAL = ProviderExtension(
    extension_kind="data_collection_request",
    payload=ExtensionPayload(
        provider_id="p",
        task_id="t1",
        data_schema={
            "title": "Trip",
            "properties": {
                "due": {"title": "Due date"},
                "goal": {"title": "Goal", "default": "Rome"},
                "how": {"title": "How", "enum": ["train", "plane"]},
            },
            "required": ["goal", "due"],
        },
        ui_schema={"ui:order": ["goal", "due"], "ui:submitButtonOptions": {"submitText": "Go"}},
        status="pending",
    ),
)


def answer(event: InteractionEvent, text: str, *, is_expected: bool = False) -> Answered | None:
    asked = asked_in(event)
    assert asked is not None
    return read_answer(asked, text, is_expected=is_expected)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Ack(message="On it."), "On it."),
        (AssistantMessage(text="Hi"), "Hi"),
        (
            AssistantMessage(text="Hi", choices=[Choice(key="x", label="Y")]),
            "Hi\n\n1. Y\n\nAnswer with a number, or in these words.",
        ),
        (
            Card(title="T", body="B", media=[{"url": "https://x/y.pdf", "name": "y.pdf"}, 5]),
            "**T**\n\nB\n\n[y.pdf](https://x/y.pdf)",
        ),
        (Nav(label="There", href="https://x"), "[There](https://x)"),
        (WHICH, "Which?\n\n1. The red\n2. Blue\n\nAnswer with a number, or in these words."),
        (ErrorNotice(user_message="Sorry."), "Sorry."),
        (ONE, "**Room**\n\n- Nights (required)\n\nJust answer with it."),
        (
            SEVERAL,
            "**Trip**\n\n- Goal: Rome\n- Due date (required)\n- How: train / plane\n\n"
            "Answer in one message, a line each: “Goal: …”.",
        ),
        (
            ProviderExtension(
                extension_kind="data_collection_progress",
                payload=ExtensionPayload(progress=Progress(step=2, total=3, label="Looking")),
            ),
            "Looking (2/3)",
        ),
    ],
)  # fmt: skip
def test_an_interaction_as_text(event: InteractionEvent, text: str) -> None:
    assert text_of(event) == text


@pytest.mark.parametrize("text", ["1", " 1. ", "the red", "A", "The red."])
def test_a_choice_by_number_label_or_key(text: str) -> None:
    assert answer(WHICH, text) == Answered("a")


@pytest.mark.parametrize("text", ["3", "0", "the red one please", "", "1 2"])
def test_what_is_no_choice_is_a_message(text: str) -> None:
    assert answer(WHICH, text) is None


def test_a_cards_action_has_its_payload() -> None:
    card = Card(title="T", actions=[Action(action_id="go", label="Go", payload={"n": 1})])
    assert answer(card, "go") == Answered("go", {"n": 1})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("three", {"nights": "three"}),
        ("Nights: 3", {"nights": "3"}),
        ("- **nights**：3", {"nights": "3"}),
        ("cancel", None),
        ("x" * 5000, None),
    ],
)
def test_a_form_of_one_field_takes_the_text(text: str, values: dict[str, Any] | None) -> None:
    expected = None if values is None else Answered("book", {"room": 7, "formId": "f1", "values": values})
    assert answer(ONE, text) == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Due date: friday\nHow: 2", {"goal": "Rome", "due": "friday", "how": "plane"}),
        ("goal: Oslo\ndue: friday\nhow: by boat", {"goal": "Oslo", "due": "friday"}),
        ("friday", {"goal": "Rome", "due": "friday"}),
        ("go", {"goal": "Rome"}),
    ],
)
def test_a_form_keeps_what_is_known(text: str, values: dict[str, str]) -> None:
    assert answer(SEVERAL, text) == Answered("submit_data_collection", {"taskId": "t1", "values": values})


def test_who_waits_for_a_reply_takes_the_text_itself() -> None:
    assert answer(SEVERAL, "friday", is_expected=True) is None
    assert answer(SEVERAL, "due: friday", is_expected=True) is not None
