"""What a push is answered with: the reply that is ready in time, else silence, and the rest by other ways."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, NoReturn

import msgspec
import structlog

from uniassist.adapter_wechat import menus, passive, phrases
from uniassist.adapter_wechat.deliveries import Deliveries, Delivery
from uniassist.adapter_wechat.erasure import Erasure
from uniassist.adapter_wechat.errands import Choice, Message
from uniassist.adapter_wechat.gateway import Gateway
from uniassist.adapter_wechat.inputs import input_of, push_key, session_id, text_input, trace_id
from uniassist.adapter_wechat.media import Media
from uniassist.adapter_wechat.menus import Chosen, Told
from uniassist.adapter_wechat.messages import MAX_NAME_LENGTH, Push
from uniassist.adapter_wechat.outage import OUTAGE, within
from uniassist.adapter_wechat.passive import Asked, StillUnderWay
from uniassist.adapter_wechat.permission import Permission
from uniassist.adapter_wechat.repeats import Repeats, Seen
from uniassist.adapter_wechat.stock import Stock, revise
from uniassist.adapter_wechat.typing_state import TypingState
from uniassist.contracts.base import Id, Wire
from uniassist.contracts.inputs import RunRef, UnifiedUserInput
from uniassist.errors import Unavailable
from uniassist.store import wechat as store
from uniassist.store.pool import Pool
from uniassist.store.wechat import Changes, Opens

log = structlog.get_logger()

REPLY_SECONDS = 4.5  # of the platform's five
CLAIM_SECONDS = 0.3  # what writing the answer down may take after that
HOLD_SECONDS = 6.0  # above the platform's five: the next push of the same message renews it
CUT_SECONDS = 6.5
TYPING_AFTER_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.05

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
_EVENT_OPENS: dict[str, Opens] = {"subscribe": "event", "SCAN": "event", "CLICK": "event"}


class EntranceMessage(Wire, kw_only=True, frozen=True):
    """A message through the unsigned test entrance; a messageId that was there before joins the first."""

    openid: _Name
    text: Annotated[str, msgspec.Meta(min_length=1)]
    message_id: _Name | None = None


class EntranceAnswer(Wire, kw_only=True, frozen=True):
    """`replyText` is what the person would see; until the runs have answered, only the acknowledgement."""

    ok: bool
    trace_id: Id
    session_id: Id
    runs: list[RunRef]
    reply_text: str


@dataclass(frozen=True)
class Taken:
    """A message once it is noted: its errand, under way; or `told`, when it was answered right here.

    `comes_again`: should this push get no answer, there will be another, and it is left to that; when there won't,
    `last_words` end the wait. `replied` not None: it was here before, and this is what it was answered with;
    nothing, when they left since.
    """

    key: str
    openid: str
    trace_id: str
    comes_again: bool
    delivery: Delivery | None
    told: str = ""
    replied: str | None = None
    last_words: str | None = phrases.STILL_WORKING

    @property
    def has_expired(self) -> bool:
        """A choice that the gateway doesn't offer any more."""
        return self.delivery is not None and self.delivery.refused and isinstance(self.delivery.errand, Choice)


class Inbound:
    """Pushes to replies. Deadlines are the loop's time. `wake` tells the sender that a push was let go."""

    def __init__(
        self,
        pool: Pool,
        gateway: Gateway,
        deliveries: Deliveries,
        permission: Permission,
        media: Media | None,
        erasure: Erasure,
        *,
        limit_bytes: int,
        wake: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._gateway = gateway
        self._deliveries = deliveries
        self._permission = permission
        self._media = media
        self._erasure = erasure
        self._typing = TypingState(permission)
        self._repeats = Repeats()
        self._limit_bytes = limit_bytes
        self._wake = wake

    async def stop(self) -> None:
        await self._typing.stop()

    async def answer_push(self, push: Push, began: float) -> str | None:
        """The text to show, None for none. Unavailable when the answer is left to the platform's next push."""
        if push.kind == "event":
            try:
                return await self._answer_event(push, began)
            except OUTAGE as error:
                log.error("an event could not be taken", reason=repr(error))
                raise Unavailable("the database is away; try again") from None
        assert push.message_id is not None, "messages have one"
        seen = self._repeats.count(push_key(push.openid, push.message_id))
        try:
            taken = await self._take(input_of(push), push.message_id, began, seen)
        except OUTAGE as error:
            log.error("a push could not be taken", pushes=seen.pushes, reason=repr(error))
            if seen.comes_again:
                return await _leave_to_the_next(began)
            # Nothing says that the message is safe; silence would look as if it were.
            return phrases.BUSY
        if taken.replied is not None:
            return taken.replied or None
        instead = None if push.kind == "text" else phrases.not_text(push.kind)
        return await self._reply(taken, began, instead)

    async def answer_entrance(self, message: EntranceMessage, began: float) -> EntranceAnswer | None:
        """None when the gateway failed."""
        message_id = message.message_id or f"test-{uuid.uuid4().hex}"
        made = text_input(message.openid, message.text, message_id, int(time.time() * 1000))
        try:
            taken = await self._take(made, message_id, began, Seen(), asks_anew=True)
        except OUTAGE as error:
            log.error("a message could not be taken", reason=repr(error))
            return None
        text = await self._reply(replace(taken, comes_again=False, last_words=None), began, None)
        delivery = taken.delivery
        if delivery is not None and not delivery.taken and not taken.has_expired:
            return None
        ack = delivery.ack if delivery is not None else None
        if ack is not None and text is None:
            text = passive.words_of(ack.ack_events)
        return EntranceAnswer(
            ok=True,
            trace_id=taken.trace_id,
            session_id=ack.session_id if ack is not None else session_id(message.openid),
            runs=ack.runs if ack is not None else [],
            reply_text=text or "",
        )

    async def _answer_event(self, push: Push, began: float) -> str | None:
        event = push.event or ""
        acted_at = dt.datetime.fromtimestamp(push.created_seconds, dt.UTC)
        if event == "unsubscribe":
            await self._erasure.erase(push.openid, acted_at)
            return None
        opens = _EVENT_OPENS.get(event)
        if opens is None:
            return None
        created = str(push.created_seconds)
        key = push_key(push.openid, created, event, push.fields.get("EventKey", ""))
        receiving = store.receive(
            self._pool, key, push.openid, hold_seconds=HOLD_SECONDS, acted_at=acted_at, opens=opens
        )
        known = await within(began + REPLY_SECONDS, receiving)
        if known is None:
            return None
        asked = Asked(key, push.openid, words=phrases.GREETING if event == "subscribe" else "")
        text = await self._claim_in_turn(asked, began)
        if text is None:
            await self._let_go(key, began)
        return text

    async def _take(
        self, message: UnifiedUserInput, message_id: str, began: float, seen: Seen, *, asks_anew: bool = False
    ) -> Taken:
        """Note the push and see to it that its errand is under way. OUTAGE errors, at the latest when time is up.

        `asks_anew`: what was answered is asked for again at the gateway, which knows it, for its acknowledgement.
        """
        return await within(began + REPLY_SECONDS, self._take_up(message, message_id, seen, asks_anew))

    async def _take_up(self, message: UnifiedUserInput, message_id: str, seen: Seen, asks_anew: bool) -> Taken:
        assert message.channel is not None
        openid = message.channel.id
        key = push_key(openid, message_id)
        acted_at = dt.datetime.fromtimestamp(message.timestamp_ms / 1000, dt.UTC)
        push = await store.receive(
            self._pool, key, openid, hold_seconds=HOLD_SECONDS, acted_at=acted_at, opens="message"
        )
        if push is None:
            return Taken(key, openid, trace_id(openid, message_id), False, None, replied="")
        seen.note(push.pushes, push.age_seconds)
        comes_again = seen.comes_again
        if push.reply is not None and not asks_anew:
            return Taken(key, openid, trace_id(openid, message_id), comes_again, None, replied=push.reply)
        answer = await self._read_answer(key, openid, message.text or "")
        if isinstance(answer, Told):
            return Taken(key, openid, trace_id(openid, message_id), comes_again, None, answer.text)
        errand = (
            Choice(self._gateway, self._pool, openid, message_id, answer)
            if isinstance(answer, Chosen)
            else Message(self._gateway, self._media, message)
        )
        delivery = self._deliveries.join(key, errand)
        return Taken(key, openid, errand.trace_id, comes_again, delivery)

    async def _read_answer(self, key: str, openid: str, text: str) -> menus.Answer:
        """What a number stands for, decided at its first push and the same at each repetition."""
        if not menus.looks_like_answer(text):
            return None

        def decide(stock: Stock) -> menus.Answer:
            person, push = stock.found.person, stock.found.push
            if push is None or push.decision is not None:
                stock.leave()
                return menus.load_answer(push.decision) if push is not None and push.decision is not None else None
            menu = menus.load(person.menu)
            answer = menus.read_answer(menu, text, int(time.time() * 1000)) if menu is not None else None
            _note_decision(stock.changes, menu, answer)
            return answer

        return await revise(self._pool, openid, decide, key)

    async def _reply(self, taken: Taken, began: float, instead: str | None) -> str | None:
        """The text to show, within the time that this push has."""
        try:
            if taken.delivery is None:
                return await self._claim(taken, began, words=taken.told)
            return await self._answer_in_time(taken, taken.delivery, began, instead)
        except OUTAGE as error:
            # It may be written down all the same: then the next push gets it. Else, and if the gateway has the
            # message, what it answers is found when the database is back.
            log.error("a reply could not be claimed", traceId=taken.trace_id, reason=repr(error))
            return await _leave_to_the_next(began) if taken.comes_again else None

    async def _answer_in_time(
        self, taken: Taken, delivery: Delivery, began: float, instead: str | None
    ) -> str | None:
        with self._typing.shown(taken.openid, TYPING_AFTER_SECONDS):
            await delivery.wait(began + REPLY_SECONDS)
        if taken.has_expired:
            return await self._claim(taken, began, otherwise=phrases.EXPIRED)
        if not delivery.taken:
            # Unless it was refused for good, it may yet be taken, or is already and only the word of it got lost.
            return await _leave_to_the_next(began) if taken.comes_again and not delivery.is_final else phrases.BUSY
        if not delivery.done and not self._permission.may_send and taken.comes_again:
            # The platform cuts this push and makes another: nothing but these can carry the answer.
            await delivery.wait(began + CUT_SECONDS)
            if not delivery.finished:
                return await _leave_to_the_next(began)
            return await self._claim(taken, began, instead=instead)
        ack = delivery.ack
        by_nobody = ack is not None and ack.routing.fallback == "builtin_chat"
        text = await self._claim(
            taken,
            began,
            instead=instead if by_nobody else None,
            otherwise=None if delivery.finished or self._permission.may_send else taken.last_words,
        )
        if text is None:
            await self._let_go(taken.key, began)
        self._deliveries.answered(taken.key)
        return text

    async def _claim(
        self,
        taken: Taken,
        began: float,
        *,
        instead: str | None = None,
        words: str = "",
        otherwise: str | None = None,
    ) -> str | None:
        asked = Asked(
            taken.key,
            taken.openid,
            trace_id=taken.trace_id,
            instead=instead,
            words=words,
            otherwise=otherwise,
            ending="" if self._permission.may_send else phrases.MORE,
        )
        return await self._claim_in_turn(asked, began)

    async def _claim_in_turn(self, asked: Asked, began: float) -> str | None:
        """Once no message to the person is under way, as long as this push has time."""
        while True:  # ends: after REPLY_SECONDS nothing is waited for
            is_last = now() + _LOOK_AGAIN_SECONDS >= began + REPLY_SECONDS
            try:
                claiming = passive.claim(self._pool, asked, self._limit_bytes, is_last=is_last)
                return await within(_write_by(began), claiming)
            except StillUnderWay:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _let_go(self, key: str, began: float) -> None:
        await within(_write_by(began), store.let_go(self._pool, key))
        self._wake()


def _write_by(began: float) -> float:
    """Until when an answer may be written down: there is a little time for it however late it comes."""
    return max(began + REPLY_SECONDS, now()) + CLAIM_SECONDS


async def _leave_to_the_next(began: float) -> NoReturn:
    """No answer until the platform has cut this push: it makes another, and not at once as after an error."""
    await asyncio.sleep(began + CUT_SECONDS - now())
    raise Unavailable("not answered in time; the platform pushes it again")


def _note_decision(changes: Changes, menu: menus.Menu | None, answer: menus.Answer) -> None:
    """What was filled in is kept; an event whose choice is taken offers none any more."""
    match answer:
        case Told(menu=filled):
            menu = filled
        case Chosen(choice=choice) if menu is not None:
            menu = menus.without(menu, choice.event_id)
    changes.person = replace(changes.person, menu=menus.dump(menu) if menu is not None else None)
    changes.decision = menus.dump_answer(answer)


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()
