"""`uniassist agent add`: an A2A agent tried as its people will meet it, and its entry written."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from uniassist.errors import SettingsError, StartError
from uniassist.gateway.fronts.asking import text_of
from uniassist.gateway.providers import catalogue
from uniassist.gateway.providers.catalogue import Provider
from uniassist.gateway.providers.kinds.a2a import Options
from uniassist.settings.variables import PROVIDER_TOKEN_PREFIX
from uniassist.web.calling.client import CallFailed

MAX_KEYWORDS = 12
TIMEOUT_MS = 20_000
_FILE_VARIABLE = "UNIASSIST_PROVIDERS_FILE"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Agents that speak A2A, as specialists.", no_args_is_help=True)
    group.callback()(lambda: None)  # so that a single command keeps its name
    group.command("add", help="Try an agent (card, a hello, streaming, cancel), and write its entry.")(_add)
    app.add_typer(group, name="agent")


def _add(
    url: Annotated[str, typer.Argument(help="Where /.well-known/agent-card.json is.", metavar="URL")],
    agent_id: Annotated[str | None, typer.Option("--id", help="Its id. Default: of its name.")] = None,
    keywords: Annotated[
        str | None, typer.Option("--keywords", help="With commas between. Default: its skills' tags and names.")
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option("--token-env", help="The variable UNIASSIST_PROVIDER_TOKEN_… with its credentials."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Where it is called, if not where its card says.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help=f"The providers file. Default: {_FILE_VARIABLE}.")
    ] = None,
    text: Annotated[str, typer.Option("--text", help="The hello.")] = "Hello! What can you do?",
) -> None:
    path = file or (Path(os.environ[_FILE_VARIABLE]) if os.environ.get(_FILE_VARIABLE) else None)
    try:
        name, written, known = asyncio.run(_tried(url, agent_id, keywords, token_env, endpoint, path, text))
    except ModuleNotFoundError as error:
        raise StartError(f"{error.name} is missing: pip install 'uniassist[a2a]'") from None
    except CallFailed as error:
        raise StartError(f"{url}: {error}") from None
    if path is None:
        print(f"\nNothing is written: name --file, or set {_FILE_VARIABLE}. The entry:\n\n{written}", end="")
        return
    path.write_text(f"{known.rstrip()}\n\n{written}", "utf-8")
    print(f"\nWritten to {path}; a gateway that reads it connects “{name}” within two seconds.")


async def _tried(
    url: str,
    agent_id: str | None,
    keywords: str | None,
    token_env: str | None,
    endpoint: str | None,
    path: Path | None,
    text: str,
) -> tuple[str, str, str]:
    """Its id, its entry, and what the file has already."""
    from uniassist.gateway.providers.kinds import a2a_trial  # the SDK, which may be missing

    found = await a2a_trial.look(_provider(entry("trial", ["trial"], url, token_env, endpoint)))
    print(f"card        {found.name}: {found.description}\n            {found.speaks}")
    name = agent_id or re.sub(r"[^a-z0-9]+", "-", found.name.lower()).strip("-")[:64] or "agent"
    words = [word.strip() for word in keywords.split(",") if word.strip()] if keywords else found.words
    if not words:
        raise StartError("its card names no skills: say --keywords, by which people reach it")
    written = entry(name, list(words)[:MAX_KEYWORDS], url, token_env, endpoint, found.description)
    provider = _provider(written)
    known = _known(path, name)
    heard, asks = await a2a_trial.hello(provider, text)
    print(f"hello       “{text}”, and people see:")
    for said in [shown for event in heard.events if (shown := text_of(event))]:
        print("\n".join(f"              {line}" for line in said.splitlines()))
    if asks:
        print("              (it waits for their answer, which goes into the same task)")
    streams = f"in {heard.pieces} pieces" if heard.pieces else "as a whole"
    print(
        f"streaming   {'yes' if found.streams else 'no: it is asked again every few seconds'}; this came {streams}"
    )
    print(f"cancel      {await a2a_trial.cancelled(provider, text)}")
    print(f"reached by  {', '.join(provider.keywords)}")
    return name, written, known


def entry(
    name: str,
    keywords: Sequence[str],
    url: str,
    token_env: str | None,
    endpoint: str | None,
    description: str = "",
) -> str:
    """`[[provider]]` of the agent at `url`."""
    lines = ["[[provider]]", f"id = {_quoted(name)}", 'kind = "a2a"', f"base_url = {_quoted(url.rstrip('/'))}"]
    lines += [f"keywords = [{', '.join(map(_quoted, keywords))}]", f"timeout_ms = {TIMEOUT_MS}"]
    lines += [f"description = {_quoted(' '.join(description.split())[:500])}"] if description.strip() else []
    lines += [f"api_key_env = {_quoted(token_env)}"] if token_env else []
    lines += [f"endpoint = {_quoted(endpoint)}"] if endpoint else []
    return "\n".join(lines) + "\n"


def _provider(source: str) -> Provider:
    """The entry as a gateway reads it. SettingsError names what is wrong with it."""
    tokens = {name: value for name, value in os.environ.items() if name.startswith(PROVIDER_TOKEN_PREFIX)}
    parsed = catalogue.parse(
        source, name="the entry", base_urls={}, timeout_ms=TIMEOUT_MS, tokens=tokens, options={"a2a": Options}
    )
    provider = parsed.providers[0]
    if not urlsplit(provider.base_url or "").hostname:
        raise SettingsError("URL: expected http:// or https:// and a host")
    return provider


def _known(path: Path | None, name: str) -> str:
    """What the file has already; our own where there is none yet. StartError where the id is taken."""
    if path is None:
        return ""
    try:
        source = (
            path.read_text("utf-8")
            if path.exists()
            else (files("uniassist.gateway.providers") / "providers.toml").read_text(encoding="utf-8")
        )
        entries = tomllib.loads(source).get("provider", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartError(f"{path}: {error}") from None
    if any(isinstance(each, dict) and each.get("id") == name for each in entries):
        raise StartError(f"{path}: has “{name}” already; expected another --id")
    return source


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)
