"""The platform's signature and envelope: its published vectors, and nothing forged."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import BadEnvelope, EnvelopeCipher

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"


@pytest.mark.parametrize(
    ("parts", "signed"),
    [
        (("AAAAA", "1714036504", "1514711492"), "f464b24fc39322e44b38aa78f5edd27bd1441696"),
        # spec/wechat.md has "…de899b…" here; sha1sum and wechatpy's own test agree on this digit
        (("test", "1410685589", "test"), "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"),
        (
            (
                "AAAAA",
                "1713424427",
                "415670741",
                "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",
            ),
            "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1",
        ),
        (
            (
                "123456",
                "1411443780",
                "437374425",
                "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==",
            ),
            "dd6b9c95b495b3f7e2901bfbc76c664930ffdb96",
        ),
    ],
)
def test_signatures_are_those_that_the_platform_published(parts: tuple[str, ...], signed: str) -> None:
    assert signature.sign(*parts) == signed
    assert signature.matches(signed, *parts)
    assert signature.matches(signed.upper(), *parts)


@given(parts=st.lists(TEXT, min_size=1, max_size=4), forged=TEXT)
def test_only_the_signature_matches(parts: list[str], forged: str) -> None:
    right = signature.sign(*parts)
    assert signature.matches(right, *reversed(parts))
    assert signature.matches(forged, *parts) == (forged.lower() == right)


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_a_timestamp_within_five_minutes_is_timely(off: int) -> None:
    assert signature.is_timely(str(1_700_000_000 + off), 1_700_000_000.0)


@pytest.mark.parametrize(
    "timestamp",
    ["", "1700000301", "1699999699", "1700000000000", "-1700000000", "1.7e9", " 1700000000", "１７０", "9" * 99],
)
def test_any_other_timestamp_is_refused(timestamp: str) -> None:
    assert not signature.is_timely(timestamp, 1_700_000_000.0)


def test_sealing_gives_the_published_envelope() -> None:
    envelope = EnvelopeCipher("A" * 43, "wxba5fad812f8e6fb9")
    sealed = "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
    assert envelope.seal(b'{"demo_resp":"good luck"}', random=b"707722b803182950") == sealed
    assert envelope.open(sealed) == b'{"demo_resp":"good luck"}'


def test_another_published_envelope_opens_under_its_own_app_id() -> None:
    sealed = "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q=="
    assert EnvelopeCipher(KEY, "wx49f0ab532d5d035a").open(sealed) == b"5927782489442352469"


@given(message=st.binary(max_size=300), app_id=TEXT, random=st.binary(min_size=16, max_size=16))
def test_what_is_sealed_opens(message: bytes, app_id: str, random: bytes) -> None:
    envelope = EnvelopeCipher(KEY, app_id)
    assert envelope.open(envelope.seal(message, random=random)) == message


@given(forged=st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()) | TEXT)
def test_nothing_forged_opens(forged: str) -> None:
    with pytest.raises(BadEnvelope):
        EnvelopeCipher(KEY, "wx-app").open(forged)


def test_another_key_or_app_does_not_open() -> None:
    sealed = EnvelopeCipher(KEY, "wx-app").seal(b"hello", random=bytes(16))
    with pytest.raises(BadEnvelope):
        EnvelopeCipher("B" * 43, "wx-app").open(sealed)
    with pytest.raises(BadEnvelope, match="another app id"):
        EnvelopeCipher(KEY, "wx-other").open(sealed)


@pytest.mark.parametrize("key", ["", "A" * 42, "A" * 44, "=" * 43, "A" * 42 + " ", "é" * 43])
def test_a_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="43 characters"):
        EnvelopeCipher(key, "wx-app")
