"""wechatpy, written by others for the real platform, as the judge of our two envelopes: the adapter's and the
simulator's. What one of the three seals the others open, and they sign alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy import parse_message
from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
from wechatpy.utils import check_signature

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import BadEnvelope, EnvelopeCipher
from uniassist.adapter_wechat.inbound.messages import read_fields, read_push, sealed_reply, text_reply
from uniassist.wechat_simulator import sealing
from uniassist.wechat_simulator.sealing import Seal

TOKEN, APP_ID = "AAAAA", "wxba5fad812f8e6fb9"
KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
MESSAGE = st.text(st.characters(codec="utf-8"), max_size=300)
RANDOM = b"0123456789abcdef"

Close = Callable[[str], str]
Open = Callable[[str], str]


def oracle(app_id: str = APP_ID) -> WeChatCrypto:
    return WeChatCrypto(TOKEN, KEY, app_id)


def _prp() -> PrpCrypto:
    return PrpCrypto(oracle().key)


CLOSERS: dict[str, Close] = {
    "adapter": lambda text: EnvelopeCipher(KEY, APP_ID).seal(text.encode(), random=RANDOM),
    "simulator": lambda text: Seal(KEY, APP_ID).close(text.encode()),
    "wechatpy": lambda text: _prp().encrypt(text, APP_ID).decode(),
}
OPENERS: dict[str, Open] = {
    "adapter": lambda sealed: EnvelopeCipher(KEY, APP_ID).open(sealed).decode(),
    "simulator": lambda sealed: Seal(KEY, APP_ID).open(sealed).decode(),
    "wechatpy": lambda sealed: str(_prp().decrypt(sealed, APP_ID)),
}


@pytest.mark.parametrize("closer", CLOSERS)
@pytest.mark.parametrize("opener", OPENERS)
@given(text=MESSAGE)
def test_what_one_seals_the_others_open(closer: str, opener: str, text: str) -> None:
    assert OPENERS[opener](CLOSERS[closer](text)) == text


@given(
    parts=st.tuples(
        st.sampled_from(["1714036504", "1410685589"]),
        st.text("abcdefXYZ0123456789", min_size=1, max_size=12),
        st.text("ABCabc+/=", max_size=64),
    )
)
def test_adapter_simulator_and_oracle_sign_alike(parts: tuple[str, str, str]) -> None:
    timestamp, nonce, _ = parts
    check_signature(TOKEN, signature.sign(TOKEN, timestamp, nonce), timestamp, nonce)
    assert signature.sign(TOKEN, *parts) == sealing.sign(TOKEN, *parts)
    sealed = CLOSERS["adapter"]("好")
    signed = signature.sign(TOKEN, timestamp, nonce, sealed)
    assert oracle().decrypt_message({"Encrypt": sealed}, signed, timestamp, nonce) == "好"
    with pytest.raises(InvalidSignatureException):
        oracle().decrypt_message({"Encrypt": sealed}, signed[::-1], timestamp, nonce)


@pytest.mark.parametrize(
    ("token", "timestamp", "nonce", "signed"),
    [
        ("AAAAA", "1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
        ("test", "1410685589", "test", "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"),
    ],
)
def test_the_vectors_hold_for_the_oracle_too(token: str, timestamp: str, nonce: str, signed: str) -> None:
    check_signature(token, signed, timestamp, nonce)


@pytest.mark.parametrize(
    ("key", "app_id", "sealed", "message"),
    [
        (
            "A" * 43,
            "wxba5fad812f8e6fb9",
            "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",
            '{"demo_resp":"good luck"}',
        ),
        (
            KEY,
            "wx49f0ab532d5d035a",
            "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==",
            "5927782489442352469",
        ),
    ],
)
def test_the_published_envelopes_open_for_all_three(key: str, app_id: str, sealed: str, message: str) -> None:
    assert PrpCrypto(WeChatCrypto(TOKEN, key, app_id).key).decrypt(sealed, app_id) == message
    assert EnvelopeCipher(key, app_id).open(sealed).decode() == message
    assert Seal(key, app_id).open(sealed).decode() == message


def test_a_message_for_another_app_opens_for_none() -> None:
    sealed = _prp().encrypt("好", "wx-of-others").decode()
    with pytest.raises(InvalidAppIdException):
        OPENERS["wechatpy"](sealed)
    with pytest.raises(BadEnvelope):
        OPENERS["adapter"](sealed)
    with pytest.raises(ValueError, match="sealed for"):
        OPENERS["simulator"](sealed)


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Cn")), min_size=1))
def test_the_oracle_reads_our_sealed_reply_and_we_read_its_sealed_push(text: str) -> None:
    pushed = oracle().encrypt_message(
        f"<xml><ToUserName>gh</ToUserName><FromUserName>o-1</FromUserName><CreateTime>1772000000</CreateTime>"
        f"<MsgType>text</MsgType><Content><![CDATA[{text.replace(']]>', '')}]]></Content><MsgId>7</MsgId></xml>",
        "nonce",
        "1772000000",
    )
    push = read_push(read_fields(EnvelopeCipher(KEY, APP_ID).open(read_fields(pushed.encode())["Encrypt"])))
    assert (push.openid, push.message_id, push.fields["Content"]) == ("o-1", "7", text.replace("]]>", ""))
    reply = text_reply(push, text, now_seconds=1772000001, as_json=False).decode()
    sealed = CLOSERS["adapter"](reply)
    signed = signature.sign(TOKEN, "1772000001", "n", sealed)
    outer = sealed_reply(encrypted=sealed, signature=signed, timestamp="1772000001", nonce="n", as_json=False)
    read = parse_message(oracle().decrypt_message(outer.decode(), signed, "1772000001", "n"))
    assert (read.target, read.source, read.content) == ("o-1", "gh", text)
