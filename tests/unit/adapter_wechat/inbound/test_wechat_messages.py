"""The platform's XML: what is written reads back, hostile XML is refused, at once."""

from __future__ import annotations

import contextlib
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniassist.adapter_wechat.inbound.gateway_inputs import input_of
from uniassist.adapter_wechat.inbound.messages import Push, read_fields, read_push, sealed_reply, text_reply
from uniassist.contracts import codec
from uniassist.contracts.inputs import UnifiedUserInput
from uniassist.errors import InvalidRequest

# what XML 1.0 can carry; \r it carries only as a reference
WRITABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n]>&<")
)
ANY_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("]]>\r\n\0\x0b"))


def push(**changed: str) -> Push:
    fields = {
        "ToUserName": "gh_account",
        "FromUserName": "o-open-id",
        "CreateTime": "1772000000",
        "MsgType": "text",
        "Content": "你好",
        "MsgId": "23456",
    } | changed
    return read_push({name: value for name, value in fields.items() if value})


def xml(inner: str) -> bytes:
    return f"<xml>{inner}</xml>".encode()


@given(text=WRITABLE, as_json=st.booleans())
def test_a_reply_reads_back_as_it_was_written(text: str, as_json: bool) -> None:
    fields = read_fields(text_reply(push(), text, now_seconds=1772000001, as_json=as_json))
    assert fields == {
        "ToUserName": "o-open-id",
        "FromUserName": "gh_account",
        "CreateTime": "1772000001",
        "MsgType": "text",
        "Content": text,
    }


@given(text=ANY_TEXT)
def test_any_text_makes_a_reply_that_parses(text: str) -> None:
    content = ElementTree.fromstring(text_reply(push(), text, now_seconds=1, as_json=False)).findtext("Content")
    assert content is not None
    assert "\r" not in content
    kept = "".join(character for character in text if character >= " " and character not in "\ufffe\uffff")
    assert content.replace("\n", "").replace("\t", "") == kept


def test_the_end_of_a_cdata_section_does_not_end_the_reply() -> None:
    hostile = "]]></Content><MsgType>image</MsgType>"
    fields = read_fields(text_reply(push(), hostile, now_seconds=1, as_json=False))
    assert (fields["Content"], fields["MsgType"]) == (hostile, "text")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_sealed_reply_has_the_platforms_fields(as_json: bool) -> None:
    sealed = sealed_reply(encrypted="a+b=", signature="f00", timestamp="17", nonce="n", as_json=as_json)
    assert read_fields(sealed) == {
        "Encrypt": "a+b=",
        "MsgSignature": "f00",
        "TimeStamp": "17",
        "Nonce": "n",
    }


def test_a_platform_message_is_read() -> None:
    raw = xml(
        "<ToUserName><![CDATA[gh_account]]></ToUserName><FromUserName><![CDATA[o-open-id]]></FromUserName>"
        "<CreateTime>1772000000</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        "<Content><![CDATA[a ]]]]><![CDATA[> b]]></Content><MsgId>23456</MsgId>"
    )
    read = read_push(read_fields(raw))
    assert (read.account, read.openid, read.message_id) == ("gh_account", "o-open-id", "23456")
    assert read.fields["Content"] == "a ]]> b"


def test_a_message_in_json_is_the_same_message() -> None:
    raw = codec.encode(
        {
            "ToUserName": "gh_account",
            "FromUserName": "o-open-id",
            "CreateTime": 1772000000,
            "MsgType": "text",
            "Content": "你好",
            "MsgId": 23456,
            "Nested": {"A": 1},
        }
    )
    assert read_push(read_fields(raw)) == push()


def test_nested_elements_are_left_out() -> None:
    assert read_fields(xml("<A>1</A><Scan><Type>qr</Type></Scan>")) == {"A": "1"}


BILLION_LAUGHS = (
    b"""<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><xml><A>&b;</A></xml>"""
)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (BILLION_LAUGHS, "DTD"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><xml/>', "DTD"),
        (b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><A>&f;</A></xml>', "DTD"),
        (b"<!DOCTYPE xml><xml/>", "DTD"),
        (b"<xml><A>&undefined;</A></xml>", "well-formed"),
        (b"<xml><A><![CDATA[open</A></xml>", "well-formed"),
        (b"<xml><A>]]></A></xml>", "well-formed"),
        (b"<xml><A>&#0;</A></xml>", "well-formed"),
        (b"<xml><A>&#xD800;</A></xml>", "well-formed"),
        (b"<xml><A>\xff</A></xml>", "well-formed"),
        (b'<?xml version="1.0" encoding="nonsense"?><xml/>', "well-formed"),
        (b'<?xml version="1.0" encoding="utf-16"?><xml/>', "well-formed"),
        (b"", "well-formed"),
        (b"{", "well-formed"),
        (b'{"A": "\\u0000"}', "U"),
        (b'{"A": ' + b"[" * 100 + b"]" * 100 + b"}", "nesting"),
        (b"<other/>", "element xml"),
        (b"<xml><A>1</A><A>2</A></xml>", "A: given more than once"),
    ],
)
def test_hostile_xml_is_refused(raw: bytes, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        read_fields(raw)


@given(
    raw=st.binary(max_size=200)
    | st.text(st.sampled_from("<xml>/A!DOCTYPE[]&;CDATA \"'?-"), max_size=80).map(str.encode)
)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        fields = read_fields(raw)
    except InvalidRequest:
        return
    assert all(isinstance(value, str) for value in fields.values())


@pytest.mark.parametrize(
    "raw",
    [
        b"<xml>" + b"<a>" * 500_000,
        b"<xml>" + b"<a>" * 300_000 + b"</a>" * 300_000 + b"</xml>",
        b"<xml" + b" a='1'" * 300_000,
        xml("<A>" + "]]" * 1_000_000 + "</A>"),
        b"<xml><A>" + b"&amp;" * 400_000 + b"</A></xml>",
    ],
)
@pytest.mark.timeout(60)  # the bombs would take minutes, and gigabytes
def test_two_megabytes_of_hostile_xml_are_done_with(raw: bytes) -> None:
    fields = None
    with contextlib.suppress(InvalidRequest):
        fields = read_fields(raw)
    assert fields is None or len(str(fields)) <= 2 * len(raw)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"FromUserName": ""}, "FromUserName: required"),
        ({"ToUserName": " "}, "ToUserName: required"),
        ({"FromUserName": "o" * 129}, "FromUserName: at most 128"),
        ({"CreateTime": ""}, "CreateTime: expected Unix seconds"),
        ({"CreateTime": "1e9"}, "CreateTime"),
        ({"CreateTime": "-1"}, "CreateTime"),
        ({"CreateTime": "9" * 11}, "CreateTime"),
        ({"CreateTime": "１７"}, "CreateTime"),
    ],
)
def test_a_push_that_lacks_something_is_refused_by_name(changed: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        push(**changed)


def test_an_event_needs_no_message_id() -> None:
    read = push(MsgType="event", Event="subscribe", MsgId="")
    assert (read.event, read.message_id) == ("subscribe", None)
    assert push().event is None


def test_a_text_becomes_an_input_the_same_for_every_push() -> None:
    made = input_of(push())
    assert made == input_of(push())
    assert (made.user_id, made.session_id, made.source) == ("wx:o-open-id", "wx-session:o-open-id", "wechat")
    assert (made.text, made.raw, made.attachments, made.timestamp_ms) == ("你好", None, None, 1772000000000)
    assert made.channel is not None
    assert (made.channel.id, made.channel.type, made.channel.message_id) == ("o-open-id", "wechat", "23456")
    assert made.trace_id.startswith("wx-")
    assert len(made.trace_id) == 35
    assert made.trace_id != input_of(push(MsgId="23457")).trace_id
    assert made.trace_id != input_of(push(FromUserName="other")).trace_id


@pytest.mark.parametrize(("kind", "type_"), [("image", "image"), ("voice", "audio"), ("video", "file")])
def test_media_becomes_raw_and_an_attachment(kind: str, type_: str) -> None:
    made = input_of(push(MsgType=kind, Content="", MediaId="media-1", PicUrl="http://pic"))
    assert made.text is None
    assert made.raw["MediaId"] == "media-1"
    assert made.attachments is not None
    assert (made.attachments[0].id, made.attachments[0].type, made.attachments[0].url) == (
        "media-1",
        type_,
        "http://pic",
    )


def test_a_place_becomes_raw_alone() -> None:
    made = input_of(push(MsgType="location", Content="", Location_X="31.2", Label="上海"))
    assert (made.raw["Location_X"], made.raw["Label"], made.attachments) == ("31.2", "上海", None)


@given(
    fields=st.dictionaries(
        st.sampled_from(["MsgType", "Content", "MediaId", "PicUrl", "Label", "MsgId"]), WRITABLE, max_size=6
    )
)
def test_every_message_that_reads_is_an_input_that_the_gateway_would_take(fields: dict[str, str]) -> None:
    try:
        read = push(**fields)
    except InvalidRequest:
        return
    if read.message_id is not None:
        made = input_of(read)
        assert codec.decode(codec.encode(made), UnifiedUserInput) == made
