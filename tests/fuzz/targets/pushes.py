"""What claims to be a push of WeChat's: XML or JSON, plain or sealed."""

from __future__ import annotations

import contextlib
import time

from uniassist.adapter_wechat.crypto import signature
from uniassist.adapter_wechat.crypto.envelope import EnvelopeCipher
from uniassist.adapter_wechat.inbound.messages import read_fields, read_push
from uniassist.adapter_wechat.inbound.push_access import PushAccess, PushRefused
from uniassist.errors import InvalidRequest, PayloadTooLarge

_TOKEN, _KEY, _APP = "fuzzed-token", "k" * 42 + "A", "wx0123456789"
_CIPHER = EnvelopeCipher(_KEY, _APP)
_PUSH = (
    b"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName>"
    b"<CreateTime>1772323200</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    b"<Content><![CDATA[\xe4\xbd\xa0\xe5\xa5\xbd &]]></Content><MsgId>12345678901234567</MsgId></xml>"
)
SEEDS = [
    _PUSH,
    _PUSH.replace(b"<Content>", b"<Info><Deep>1</Deep></Info><Content>"),
    b"<xml><Encrypt><![CDATA[%b]]></Encrypt></xml>" % _CIPHER.seal(_PUSH, random=bytes(16)).encode(),
    b'{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1772323200,"MsgType":"text","Content":"x","MsgId":1}',
]
TOKENS = [
    *(
        b"<",
        b">",
        b"<a>",
        b"</a>",
        b"<a/>",
        b"<xml>",
        b"</xml>",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<!---->",
        b"<?a b?>",
    ),
    *(
        b"&amp;",
        b"&#65;",
        b"&#x10FFFF;",
        b"&#0;",
        b"&e;",
        b"<!DOCTYPE xml [",
        b'<!ENTITY e "eeee">',
        b"]>",
        b"&e;" * 10,
    ),
    *(
        b'<?xml version="1.0" encoding="utf-16"?>',
        b'<?xml version="1.0" encoding="utf-7"?>',
        b"<?xml version='1.1'?>",
    ),
    *(
        b' a="',
        b'"',
        b"'",
        b" xmlns:a='u'",
        b"<a:b>",
        b"a" * 100,
        b"]",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\0",
        b"<\0x\0m\0l\0>\0",
    ),
    *(
        b"<MsgType>event</MsgType>",
        b"<CreateTime>",
        b"<MsgId>",
        b"</Content>",
        b"<Encrypt>",
        b"AAAA",
        b"=",
        b"{",
        b"}",
        b"[1],",
    ),
]


def check(raw: bytes) -> None:
    """Read or refused, by the pure reader and by both entrances, with a good signature."""
    with contextlib.suppress(InvalidRequest, PayloadTooLarge):
        fields = read_fields(raw)
        sealed = fields.get("Encrypt", "").strip()
        read_push(fields)
        _open(PushAccess(_TOKEN, None), raw, "signature")
        if sealed:
            _open(PushAccess(_TOKEN, _CIPHER), raw, "msg_signature", sealed)
    # a body that only the key's holder could have made: whatever is inside
    with contextlib.suppress(InvalidRequest, PayloadTooLarge):
        inner = _CIPHER.seal(raw, random=bytes(16))
        _open(
            PushAccess(_TOKEN, _CIPHER),
            b"<xml><Encrypt>%b</Encrypt></xml>" % inner.encode(),
            "msg_signature",
            inner,
        )


def _open(access: PushAccess, raw: bytes, name: str, *more: str) -> None:
    timestamp = str(int(time.time()))
    query = {
        "timestamp": timestamp,
        "nonce": "n",
        "encrypt_type": "aes",
        name: signature.sign(_TOKEN, timestamp, "n", *more),
    }
    with contextlib.suppress(PushRefused, InvalidRequest, PayloadTooLarge):
        access.check_query(query)
        access.open(query, raw)
