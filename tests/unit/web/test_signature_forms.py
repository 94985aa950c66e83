"""The second form signs the route too; Standard Webhooks is taken as its specification has it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uniassist.errors import InvalidSignature
from uniassist.web.auth import signing
from uniassist.web.auth.signing import Target

NOW = 1_700_000_000_000
SECRET = "a-secret-of-the-tests"
BODY = b'{"text": "hello"}'
INGEST = Target("POST", b"/v0/ingest")
READ = Target("GET", b"/v0/timeline?sessionId=a%3Ab&cursor=0")

Raw = list[tuple[bytes, bytes]]
PATHS = st.sampled_from(
    [b"/v0/ingest", b"/v0/interact", b"/v0/timeline?sessionId=a.b", b"/v0/timeline?sessionId=a"]
)
METHODS = st.sampled_from(["GET", "POST", "HEAD"])


def raw(headers: dict[str, str]) -> Raw:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def second(target: Target = INGEST, body: bytes = BODY) -> Raw:
    return raw(signing.sign_request(SECRET, target, body, now_ms=NOW, nonce="n"))


def test_the_second_forms_digest_is_the_contracts() -> None:
    expected = hmac.new(SECRET.encode(), f"{NOW}.n.POST./v0/ingest.".encode() + BODY, hashlib.sha256).hexdigest()
    assert dict(second())[b"x-uniassist-signature"].decode() == expected
    assert dict(second())[b"x-uniassist-signature-version"] == b"2"


@given(METHODS, PATHS, st.binary(max_size=40), METHODS, PATHS, st.binary(max_size=40))
def test_it_is_good_for_one_request_only(
    method: str, path: bytes, body: bytes, other_method: str, other_path: bytes, other_body: bytes
) -> None:
    said, other = Target(method, path), Target(other_method, other_path)
    found = signing.read(second(said, body), NOW)
    found.check([SECRET], said, body)
    same_body = body == other_body or other_method in ("GET", "HEAD")
    assume(not (said == other and same_body))
    with pytest.raises(InvalidSignature):
        found.check([SECRET], other, other_body)


@pytest.mark.parametrize(
    "sent", [b"sessionId=a%3Ab&cursor=0", b"sessionId=a:b&cursor=0", b"sessionId=%61%3ab&cursor=0"]
)
def test_a_query_may_be_encoded_anew_on_the_way(sent: bytes) -> None:
    signing.read(second(READ, b""), NOW).check([SECRET], Target("GET", b"/v0/timeline?" + sent), b"")


def test_who_signs_what_he_sends_needs_no_canonical_query() -> None:
    sent = b"/v0/timeline?sessionId=a:b&cursor=0"
    digest = hmac.new(SECRET.encode(), b"%d.n.GET.%b." % (NOW, sent), hashlib.sha256).hexdigest()
    headers = [(name, digest.encode() if name[-9:] == b"signature" else value) for name, value in second(READ, b"")]
    signing.read(headers, NOW).check([SECRET], Target("GET", sent), b"")


def test_no_form_passes_for_another() -> None:
    stripped = [(name, value) for name, value in second() if name != b"x-uniassist-signature-version"]
    with pytest.raises(InvalidSignature):
        signing.read(stripped, NOW).check([SECRET], INGEST, BODY)
    first = [*raw(signing.sign(SECRET, BODY, now_ms=NOW, nonce="n")), (b"x-uniassist-signature-version", b"2")]
    with pytest.raises(InvalidSignature):
        signing.read(first, NOW).check([SECRET], INGEST, BODY)


@pytest.mark.parametrize("version", [b"", b"0", b"3", b"2 ", b"02", b"v2"])
def test_an_unknown_version_is_refused_by_name(version: bytes) -> None:
    headers = [(name, version if name.endswith(b"version") else value) for name, value in second()]
    with pytest.raises(InvalidSignature, match="x-uniassist-signature-version: expected 1 or 2"):
        signing.read(headers, NOW)


def webhook(secret: bytes = SECRET.encode(), *, at: int = NOW // 1000, message_id: str = "msg_1") -> Raw:
    digest = hmac.new(secret, f"{message_id}.{at}.".encode() + BODY, hashlib.sha256).digest()
    shown = b"v1a,AAAA v1,%b v1,%b" % (base64.b64encode(b"x" * 32), base64.b64encode(digest))
    return [(b"webhook-id", message_id.encode()), (b"webhook-timestamp", b"%d" % at), (b"webhook-signature", shown)]


def test_standard_webhooks_are_taken() -> None:
    assert signing.is_signed(webhook())
    found = signing.read(webhook(), NOW)
    found.check([SECRET], INGEST, BODY)
    assert (found.form, found.message_id) == ("webhooks", "msg_1")
    with pytest.raises(InvalidSignature, match="webhook-signature"):
        found.check([SECRET], INGEST, BODY + b" ")
    again = signing.read(webhook(at=NOW // 1000 + 5), NOW)
    assert again.message_id == found.message_id, "the message is the same"
    assert again.nonce != found.nonce, "the attempt is another"


def test_a_secret_in_the_standards_own_form_stands_for_its_bytes() -> None:
    key = bytes(range(24))
    secret = "whsec_" + base64.b64encode(key).decode()
    signing.read(webhook(key), NOW).check([secret], INGEST, BODY)


# The example of the specification (standard-webhooks/spec, "Signature scheme").
def test_the_specifications_own_example_verifies() -> None:
    headers = [
        (b"webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (b"webhook-timestamp", b"1614265330"),
        (b"webhook-signature", b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]
    found = signing.read(headers, 1614265330_000)
    found.check(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], INGEST, b'{"test": 2432232314}')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", b""),
        ("webhook-id", b"a.b"),
        ("webhook-timestamp", b"soon"),
        ("webhook-timestamp", b"1" * 14),
        ("webhook-timestamp", b"%d" % (NOW // 1000 - 400)),
        ("webhook-signature", b""),
        ("webhook-signature", b"v2,AAAA"),
        ("webhook-signature", b"v1,AAAA  v1,AAAA"),
        ("webhook-signature", b" ".join([b"v1,AAAA"] * 9)),
    ],
)
def test_malformed_webhook_headers_are_refused_by_name(name: str, value: bytes) -> None:
    headers = [(key, value if key == name.encode() else kept) for key, kept in webhook()]
    with pytest.raises(InvalidSignature, match=name):
        signing.read(headers, NOW)


def test_only_the_forms_that_are_accepted_are_taken() -> None:
    first = raw(signing.sign(SECRET, BODY, now_ms=NOW, nonce="n"))
    for headers, form in ((first, "1"), (second(), "2"), (webhook(), "webhooks")):
        assert signing.read(headers, NOW, {form}).form == form  # type: ignore[arg-type] # of the table above
        with pytest.raises(InvalidSignature, match="UNIASSIST_SIGNATURES"):
            signing.read(headers, NOW, set(signing.FORMS) - {form})
    with pytest.raises(InvalidSignature, match="given beside"):
        signing.read([*second(), *webhook()], NOW)
