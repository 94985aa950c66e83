"""Keys of app tokens, on a gateway as a process: sets that rotate, two at a time, and settings that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm
from tests import forking
from tests.integration.gateway.client import GatewayClient, refused
from tests.integration.gateway.tokens import KEY, bearer
from tests.processes import ServiceProcess
from tests.waiting import eventually

Key = ed25519.Ed25519PrivateKey
PATH = "/v0/timeline?sessionId=s"


def jwks(**keys: Key) -> str:
    described: list[dict[str, Any]] = [
        {**json.loads(OKPAlgorithm.to_jwk(key.public_key())), "kid": name} for name, key in keys.items()
    ]
    return json.dumps({"keys": described})


def pem(key: Key) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def by(key: Key, kid: str | None = None) -> dict[str, str]:
    return bearer("anna", key=key, algorithm="EdDSA", **({"kid": kid} if kid else {}))


async def test_keys_of_a_set_rotate_beside_two_of_our_own(
    start_gateway: Callable[..., GatewayClient], tmp_path: Path
) -> None:
    old, new, own, previous = (Key.generate() for _ in range(4))
    file = tmp_path / "keys.json"
    file.write_text(jwks(old=old))
    gateway = start_gateway(
        UNIASSIST_APP_AUTH="jwt",
        UNIASSIST_APP_JWT_KEY=pem(own),
        UNIASSIST_APP_JWT_KEY_PREVIOUS=pem(previous).replace("\n", "\\n"),
        UNIASSIST_APP_JWT_JWKS=str(file),
    )
    for good in (by(old, "old"), by(old), by(own), by(previous)):
        assert (await gateway.get(PATH, good)).status == 200
    refused(await gateway.get(PATH, by(new, "new")), 401, "INVALID_APP_TOKEN", "not a valid token")
    refused(await gateway.get(PATH, bearer("anna", key=pem(own)[:40].ljust(40))), 401, "INVALID_APP_TOKEN")
    file.write_text(jwks(new=new))

    async def is_taken() -> bool:
        return (await gateway.get(PATH, by(new, "new"))).status == 200

    await eventually(is_taken, "the new key is found")
    refused(await gateway.get(PATH, by(old, "old")), 401, "INVALID_APP_TOKEN", "not a valid token")


async def test_while_no_key_can_be_read_tokens_are_put_off_and_not_refused(
    start_gateway: Callable[..., GatewayClient],
) -> None:
    gateway = start_gateway(
        UNIASSIST_APP_AUTH="jwt", UNIASSIST_APP_JWT_JWKS="http://127.0.0.1:1/keys?secret=hidden"
    )
    refused(await gateway.get(PATH, bearer("anna")), 503, "UNAVAILABLE", "keys of app tokens")
    refused(await gateway.get(PATH), 401, "INVALID_APP_TOKEN", "Bearer")


PUBLIC = pem(Key.generate())
PRIVATE = (
    Key.generate()
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)
WRONG = {
    "base64 without PEM": ("UNIASSIST_APP_JWT_KEY", PUBLIC.split("-----")[2].strip() * 1),
    "private": ("UNIASSIST_APP_JWT_KEY", PRIVATE),
    "JWK": ("UNIASSIST_APP_JWT_KEY", json.dumps(json.loads(jwks(a=Key.generate()))["keys"][0])),
    "garbage": ("UNIASSIST_APP_JWT_KEY", "-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----"),
    "previous": ("UNIASSIST_APP_JWT_KEY_PREVIOUS", PRIVATE),
    "no file": ("UNIASSIST_APP_JWT_JWKS", "/nowhere/keys.json"),
    "no URL": ("UNIASSIST_APP_JWT_JWKS", "ftp://keys.internal/jwks"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_key_setting_stops_the_start_with_one_sentence(
    name: str, shared_database_url: str, shared_redis_url: str, tmp_path: Path
) -> None:
    variable, value = WRONG[name]
    process = ServiceProcess("gateway", tmp_path / "log", {"DATABASE_URL": shared_database_url})
    env = process.env | {"REDIS_URL": shared_redis_url, "UNIASSIST_APP_AUTH": "jwt", "UNIASSIST_APP_JWT_KEY": KEY}
    ended = forking.ended(["gateway"], env=env | {variable: value})
    assert ended.returncode == 1
    said = ended.stderr.strip().splitlines()[-1]
    assert said.startswith(f"{variable}: "), ended.stderr
    assert "Traceback" not in ended.stderr
    assert value[:40] not in ended.stderr
