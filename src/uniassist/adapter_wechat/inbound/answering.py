"""What a push is answered with: the reply that is ready in time, else silence.

Each message is noted in Postgres, its errand to the gateway is started or joined, and the push waits for the answer
as long as the platform does. What isn't ready by then is the sender's, or the next push's.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, NoReturn

import msgspec
import structlog

from uniassist.adapter_wechat import phrases
from uniassist.adapter_wechat.gateway_client import GatewayClient
from uniassist.adapter_wechat.identities import session_id, trace_id
from uniassist.adapter_wechat.inbound.deliveries import Deliveries, Delivery
from uniassist.adapter_wechat.inbound.erasure import Erasure
from uniassist.adapter_wechat.inbound.errands import ChoiceErrand, MessageErrand
from uniassist.adapter_wechat.inbound.gateway_inputs import input_of, input_of_event, push_key, said_in, text_input
from uniassist.adapter_wechat.inbound.messages import MAX_NAME_LENGTH, Push
from uniassist.adapter_wechat.inbound.repeated_pushes import RepeatedPush, Repeats
from uniassist.adapter_wechat.inbound.taken import TALK, Taken
from uniassist.adapter_wechat.media.fetching import Media
from uniassist.adapter_wechat.outage import within
from uniassist.adapter_wechat.outbound import passive_reply
from uniassist.adapter_wechat.outbound.passive_reply import Asked, StillUnderWay
from uniassist.adapter_wechat.outbound.permission import Permission
from uniassist.adapter_wechat.outbound.reply_book import ReplyBook, revise
from uniassist.adapter_wechat.outbound.typing_state import TypingState
from uniassist.adapter_wechat.rendering import menu_answers, menus
from uniassist.adapter_wechat.rendering.menu_answers import Chosen, Closed, Told
from uniassist.contracts.base import Id, Wire
from uniassist.contracts.courtesies import courtesy
from uniassist.contracts.inputs import RunRef, UnifiedUserInput
from uniassist.contracts.language import language, spoken, written_in
from uniassist.errors import ServerFault, Unavailable
from uniassist.store.server.pool import Pool
from uniassist.store.wechat import people as store
from uniassist.store.wechat.people import Changes, Opens

log = structlog.get_logger()

REPLY_SECONDS = 4.5  # the platform waits for five
CLAIM_SECONDS = 0.3  # for writing the answer down after that
HOLD_SECONDS = 6.0  # more than the platform's five: the next push of the same message renews it
CUT_SECONDS = 6.5  # by then the platform has given the push up
TYPING_AFTER_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.05

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
_EVENT_OPENS: dict[str, Opens] = {"subscribe": "event", "SCAN": "event", "CLICK": "event"}


class EntranceMessage(Wire, kw_only=True, frozen=True):
    """A message through the unsigned test entrance. A message_id that was there before joins the first."""

    openid: _Name
    text: Annotated[str, msgspec.Meta(min_length=1)]
    message_id: _Name | None = None


class EntranceAnswer(Wire, kw_only=True, frozen=True):
    """reply_text: what the person would see; only the acknowledgement until the runs have answered."""

    ok: bool
    trace_id: Id
    session_id: Id
    runs: list[RunRef]
    reply_text: str


class Inbound:
    """Answers pushes and messages of the test entrance.

    media: None leaves what isn't text with the platform.
    limit_bytes: of a reply's text, in UTF-8.
    wake: tells the sender that a push was let go.

    `began` is when a request came, and deadlines are such times: seconds of the loop's clock.
    """

    def __init__(
        self,
        pool: Pool,
        gateway: GatewayClient,
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
        """The text to show; None for silence. Unavailable when the answer is left to the platform's next push."""
        if push.kind == "event":
            try:
                return await self._answer_event(push, began)
            except ServerFault as error:
                log.error("an event could not be taken", reason=repr(error))
                raise Unavailable("the database is away; try again") from None
        assert push.message_id is not None, "messages have one"
        seen = self._repeats.count(push_key(push.openid, push.message_id))
        try:
            taken = await self._take(input_of(push), push.message_id, began, seen)
        except ServerFault as error:
            log.error("a push could not be taken", pushes=seen.pushes, reason=repr(error))
            if seen.comes_again:
                return await _leave_to_the_next(began)
            # Nothing says that the message is safe; silence would look as if it were.
            return phrases.say("busy", written_in(said_in(push) or "") or "zh")
        if taken.replied is not None:
            return taken.replied or None
        if said_in(push) is None:
            taken = replace(taken, instead=phrases.not_text(push.kind, taken.language, taken.still_open))
        return await self._reply(taken, began)

    async def answer_entrance(self, message: EntranceMessage, began: float) -> EntranceAnswer | None:
        """None when the gateway or the database failed."""
        message_id = message.message_id or f"test-{uuid.uuid4().hex}"
        made = text_input(message.openid, message.text, message_id, int(time.time() * 1000))
        try:
            taken = await self._take(made, message_id, began, RepeatedPush(), asks_anew=True)
        except ServerFault as error:
            log.error("a message could not be taken", reason=repr(error))
            return None
        text = await self._reply(replace(taken, comes_again=False, tells_to_wait=False), began)
        delivery = taken.delivery
        if delivery is not None and not delivery.taken and not taken.has_expired:
            return None
        ack = delivery.ack if delivery is not None else None
        if ack is not None and text is None:
            text = passive_reply.words_of(ack.ack_events)
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
        message = input_of_event(push, key)
        if message is not None:
            return await self._answer_as_message(push, message, began)
        receiving = store.receive(
            self._pool, key, push.openid, hold_seconds=HOLD_SECONDS, acted_at=acted_at, opens=opens
        )
        known = await within(began + REPLY_SECONDS, receiving)
        if known is None:
            return None
        welcome = ""
        if event == "subscribe":
            welcome = phrases.welcome("greeting", language(known.locale), is_stranger=known.locale is None)
        asked = Asked(key, push.openid, words=welcome)
        text = await self._claim_in_turn(asked, began)
        if text is None:
            await self._let_go(key, began)
        return text

    async def _answer_as_message(self, push: Push, message: UnifiedUserInput, began: float) -> str | None:
        """An event that the gateway gets as an input. What nobody there answers, the channel welcomes."""
        assert message.channel is not None
        assert message.channel.message_id is not None
        message_id = message.channel.message_id
        seen = self._repeats.count(push_key(push.openid, message_id))
        taken = await self._take(message, message_id, began, seen, opens="event")
        if taken.replied is not None:
            return taken.replied or None
        welcome = {"subscribe": "greeting", "SCAN": "scanned"}.get(push.event or "")
        if taken.instead is None and welcome is not None:
            words = [phrases.welcome(welcome, taken.language, is_stranger=taken.is_stranger), taken.still_open]
            taken = replace(taken, instead="\n\n".join(part for part in words if part))
        return await self._reply(taken, began)

    async def _take(
        self,
        message: UnifiedUserInput,
        message_id: str,
        began: float,
        seen: RepeatedPush,
        *,
        asks_anew: bool = False,
        opens: Opens = "message",
    ) -> Taken:
        """Note the push, and start its errand unless it is under way. ServerFault, within REPLY_SECONDS.

        asks_anew: a message that was answered before goes to the gateway again, for its acknowledgement.
        """
        return await within(began + REPLY_SECONDS, self._take_up(message, message_id, seen, asks_anew, opens))

    async def _take_up(
        self, message: UnifiedUserInput, message_id: str, seen: RepeatedPush, asks_anew: bool, opens: Opens
    ) -> Taken:
        assert message.channel is not None
        openid = message.channel.id
        key = push_key(openid, message_id)
        acted_at = dt.datetime.fromtimestamp(message.timestamp_ms / 1000, dt.UTC)
        push = await store.receive(
            self._pool, key, openid, hold_seconds=HOLD_SECONDS, acted_at=acted_at, opens=opens
        )
        if push is None:
            return Taken(key, openid, trace_id(openid, message_id), False, None, replied="")
        seen.note(push.pushes, push.age_seconds)
        comes_again = seen.comes_again
        locale = spoken(None, message.text, push.locale, default="zh")
        if push.reply is not None and not asks_anew:
            return Taken(key, openid, trace_id(openid, message_id), comes_again, None, replied=push.reply)
        answer = None
        if message.text and (push.has_menu or push.decision is not None):
            answer = await self._read_answer(key, openid, message.text, message.timestamp_ms)
        if isinstance(answer, Told):
            return Taken(key, openid, trace_id(openid, message_id), comes_again, None, answer.text)
        kind = courtesy(message.text or "")
        is_beside = answer is None and (not (message.text or "").strip() or kind in TALK)
        errand = (
            ChoiceErrand(self._gateway, self._pool, openid, message_id, answer, message.timestamp_ms)
            if isinstance(answer, Chosen)
            else MessageErrand(self._gateway, self._media, message)
        )
        delivery = self._deliveries.join(key, errand)
        instead = answer.text if isinstance(answer, Closed) else None
        return Taken(
            key,
            openid,
            errand.trace_id,
            comes_again,
            delivery,
            instead=instead,
            language=language(locale),
            is_stranger=locale is None,
            still_open=await self._still_open(openid) if is_beside and push.has_menu else "",
            is_talk=kind in TALK,
        )

    async def _read_answer(self, key: str, openid: str, text: str, written_at_ms: int) -> menu_answers.Answer:
        """What a text does to the menu. It is decided at the first push and stays the same at each repetition."""

        def decide(book: ReplyBook) -> menu_answers.Answer:
            person, push = book.found.person, book.found.push
            if push is None or push.decision is not None:
                book.leave()
                return menu_answers.load_answer(push.decision) if push is not None and push.decision else None
            menu = menus.load(person.menu)
            now_ms = int(time.time() * 1000)
            answer = menu_answers.read_answer(menu, text, now_ms, written_at_ms) if menu is not None else None
            _note_decision(book.changes, menu, answer)
            return answer

        return await revise(self._pool, openid, decide, key)

    async def _still_open(self, openid: str) -> str:
        """What waits for the person's answer, as it is said; empty where nothing does."""

        def look(book: ReplyBook) -> str:
            book.leave()
            menu = menus.load(book.found.person.menu)
            return menus.still_open(menu) if menu is not None and menu.is_open(int(time.time() * 1000)) else ""

        return await revise(self._pool, openid, look) or ""

    async def _reply(self, taken: Taken, began: float) -> str | None:
        """The text to show, within the time that this push has."""
        try:
            if taken.delivery is None:
                return await self._claim(taken, began, words=taken.told)
            return await self._answer_in_time(taken, taken.delivery, began)
        except ServerFault as error:
            # It may be written down all the same: then the next push gets it. Else, and if the gateway has the
            # message, what it answers is found when the database is back.
            log.error("a reply could not be claimed", traceId=taken.trace_id, reason=repr(error))
            return await _leave_to_the_next(began) if taken.comes_again else None

    async def _answer_in_time(self, taken: Taken, delivery: Delivery, began: float) -> str | None:
        with self._typing.shown(taken.openid, TYPING_AFTER_SECONDS):
            await delivery.wait(began + REPLY_SECONDS)
        if taken.has_expired:
            return await self._claim(taken, began, otherwise=phrases.say("expired", taken.language))
        if not delivery.taken:
            # Unless the gateway refused it for good, the next push may succeed: perhaps only an answer got lost.
            if taken.comes_again and not delivery.is_final:
                return await _leave_to_the_next(began)
            return phrases.say("busy", taken.language)
        if not delivery.done and not self._permission.may_send and taken.comes_again:
            # Only pushes can carry the answer: wait until the platform gives this one up and makes another.
            await delivery.wait(began + CUT_SECONDS)
            if not delivery.finished:
                return await _leave_to_the_next(began)
            instead, words = taken.instead_of(delivery.ack), taken.words_after(delivery.ack)
            return await self._claim(taken, began, instead=instead, words=words)
        is_told_later = delivery.finished or self._permission.may_send or not taken.tells_to_wait
        text = await self._claim(
            taken,
            began,
            instead=taken.instead_of(delivery.ack),
            words=taken.words_after(delivery.ack),
            otherwise=None if is_told_later else phrases.say("still_working", taken.language),
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
            ending="" if self._permission.may_send else phrases.say("more", taken.language),
        )
        return await self._claim_in_turn(asked, began)

    async def _claim_in_turn(self, asked: Asked, began: float) -> str | None:
        """The claimed text. While a message to the person is under way it waits, as long as this push has time."""
        while True:  # ends: after REPLY_SECONDS nothing is waited for
            is_last = now() + _LOOK_AGAIN_SECONDS >= began + REPLY_SECONDS
            try:
                claiming = passive_reply.claim(self._pool, asked, self._limit_bytes, is_last=is_last)
                return await within(_write_by(began), claiming)
            except StillUnderWay:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _let_go(self, key: str, began: float) -> None:
        await within(_write_by(began), store.let_go(self._pool, key))
        self._wake()


def _write_by(began: float) -> float:
    """Until when an answer may be written down. There is a little time for it, however late it comes."""
    return max(began + REPLY_SECONDS, now()) + CLAIM_SECONDS


async def _leave_to_the_next(began: float) -> NoReturn:
    """Unavailable, once the platform has given this push up. After an error in time it would push again at once."""
    await asyncio.sleep(began + CUT_SECONDS - now())
    raise Unavailable("not answered in time; the platform pushes it again")


def _note_decision(changes: Changes, menu: menus.Menu | None, answer: menu_answers.Answer) -> None:
    """Keeps what was filled in. When a choice is taken, its event's other choices go."""
    match answer:
        case Told(menu=left) | Closed(menu=left):
            menu = left
        case Chosen(choice=choice) if menu is not None:
            menu = menus.without(menu, choice.event_id)
    changes.person = replace(changes.person, menu=menus.dump(menu) if menu is not None else None)
    changes.decision = menu_answers.dump_answer(answer)


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()
