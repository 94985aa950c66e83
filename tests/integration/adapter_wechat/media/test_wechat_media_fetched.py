"""What people send besides text is fetched while the platform keeps it, and no message waits for it for long."""

from __future__ import annotations

import hashlib

import pytest
from tests.integration.adapter_wechat.conftest import Live
from tests.integration.adapter_wechat.media.stored_files import JPEG, file_of
from tests.integration.adapter_wechat.wechat_pushes import fresh
from tests.waiting import eventually

from uniassist.wechat_simulator.api import MEDIA, Fault


@pytest.mark.parametrize(
    ("kind", "mime", "attached"),
    [("image", "image/jpeg", "image"), ("voice", "audio/amr", "audio"), ("video", "video/mp4", "file")],
)
async def test_media_are_fetched_and_attached(live: Live, kind: str, mime: str, attached: str) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    pushed = await live.wechat.send_medium(openid, kind, media_id, JPEG, mime)
    assert pushed.text is not None
    (taken,) = live.gateway.inputs_of(openid)
    assert taken.attachments is not None
    (found,) = taken.attachments
    assert (found.id, found.type, found.mime, found.size) == (media_id, attached, mime, len(JPEG))
    assert found.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert file_of(found.local_uri).read_bytes() == JPEG
    assert openid not in str(found.local_uri)


async def test_a_medium_that_fails_at_first_is_fetched_later_and_no_message_waits_for_it(live: Live) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    live.wechat.faults.add(MEDIA, Fault("status", 502))
    await live.wechat.send_medium(openid, "image", media_id, JPEG, "image/jpeg")
    (taken,) = live.gateway.inputs_of(openid)
    assert taken.attachments is not None
    (found,) = taken.attachments
    assert (found.mime, found.size) == (None, None)
    assert not file_of(found.local_uri).exists()
    live.execute("UPDATE wechat_media SET due_at = now() WHERE media_id = %s", media_id)
    await eventually(lambda: file_of(found.local_uri).exists(), "the file is there")
    assert file_of(found.local_uri).read_bytes() == JPEG


async def test_a_medium_that_is_gone_is_given_up(live: Live) -> None:
    openid, media_id = fresh("openid"), fresh("media")
    await live.wechat.send(openid, "image", MediaId=media_id, PicUrl="https://a.example/p.jpg")
    (taken,) = live.gateway.inputs_of(openid)
    assert taken.attachments is not None
    (found,) = taken.attachments
    assert (found.id, found.url, found.local_uri) == (media_id, "https://a.example/p.jpg", None)
    assert live.execute("SELECT state FROM wechat_media WHERE media_id = %s", media_id) == [("lost",)]
