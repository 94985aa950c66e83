"""What is said of an environment variable: its kind, default, secrecy and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "boolean", "url", "choice", "list"]
Need = Literal["required", "optional"]


@dataclass(frozen=True)
class Variable:
    """`default` is text as an operator would write it; None: no default. `need` is what staging asks for."""

    name: str
    kind: Kind
    meaning: str
    default: str | None = None
    need: Need = "optional"
    secret: bool = False
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    example: str | None = None

    def expected(self) -> str:
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "list" and self.choices:
            return "some of " + ", ".join(self.choices)
        if self.kind == "integer":
            return f"an integer from {self.low} to {self.high}"
        if self.kind == "boolean":
            return "true or false"
        if self.kind == "url":
            return "a URL such as " + (self.example or "http://127.0.0.1:8787")
        return "some text"


@dataclass(frozen=True)
class VariableGroup:
    title: str
    variables: tuple[Variable, ...]


def port(name: str, default: str, whose: str) -> Variable:
    return Variable(name, "integer", f"Port of {whose}.", default, low=1, high=65535)


def processes(name: str, whose: str) -> Variable:
    meaning = f"{whose} runs as so many processes on its one port, for a machine with cores to spare."
    return Variable(name, "integer", meaning, "1", low=1, high=64)


def count(name: str, default: str, meaning: str, low: int, high: int) -> Variable:
    return Variable(name, "integer", meaning, default, low=low, high=high)


def secret(name: str, meaning: str, need: Need = "required") -> Variable:
    return Variable(name, "text", meaning, need=need, secret=True)


def url(name: str, meaning: str, example: str, default: str | None = None, need: Need = "optional") -> Variable:
    return Variable(name, "url", meaning, default, need=need, example=example)
