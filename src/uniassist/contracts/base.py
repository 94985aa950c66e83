"""What all wire types share: camelCase names, absent instead of null, bounded ids and integers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

SCHEMA_VERSION: Literal["v0"] = "v0"
SchemaVersion = Literal["v0"]

MAX_ID_LENGTH = 256
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
TimestampMs = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1, description="Unix time in milliseconds")]
JsonObject = dict[str, Any]


class Wire(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Unknown members are ignored, optional ones without a value are left out, null reads as absent."""
