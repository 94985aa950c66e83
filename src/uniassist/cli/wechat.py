"""`uniassist wechat check`: what of an account's set-up is wrong. `uniassist wechat-sim`: without an account."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import sys
from typing import Annotated

import msgspec
import typer

from uniassist import terminal
from uniassist.adapter_wechat import account_check
from uniassist.adapter_wechat.account_check import AccountFinding
from uniassist.cli.console import guarded_console
from uniassist.cli.findings import show
from uniassist.cli.where import StateDir
from uniassist.devstack.server import port_is_taken
from uniassist.devstack.state import DEFAULT_DIRECTORY, StateDirectory
from uniassist.errors import SettingsError, StartError
from uniassist.settings import Reader, WechatAccountSettings
from uniassist.web.calling.client import JsonClient
from uniassist.wechat_simulator.simulator import APP_ID, WechatSimulator

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the simulated platform listens.")]
Adapter = Annotated[str, typer.Option("--adapter", help="Where adapter-wechat listens.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
DEFAULT_PORT = 9000


def register(app: typer.Typer) -> None:
    app.command("wechat-sim", help="A simulated WeChat platform: a phone on a web page, and faults as buttons.")(
        _simulate
    )
    account = typer.Typer(help="The WeChat Official Account.", no_args_is_help=True)
    account.callback()(lambda: None)
    account.command("check", help="What of the account's set-up is wrong, and the remedy. Exits 1 if anything is.")(
        _check
    )
    app.add_typer(account, name="wechat")


def _check(
    url: Annotated[
        str | None,
        typer.Option("--url", help="The webhook as the platform's page has it. Default: on this machine."),
    ] = None,
    as_json: Json = False,
) -> None:
    try:
        settings = WechatAccountSettings.from_env()
        port = Reader(os.environ).integer("ADAPTER_WECHAT_PORT")
    except SettingsError as error:
        findings = [AccountFinding("fail", "settings", str(error), "set it as ops/deploy/staging/env.example says")]
    else:
        findings = asyncio.run(_examine(settings, url or f"http://127.0.0.1:{port}/wechat/webhook"))
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        print(msgspec.json.encode({"ok": failed == 0, "findings": findings}).decode())
    else:
        show(guarded_console(soft_wrap=True), findings)
    if failed:
        raise typer.Exit(1)


async def _examine(settings: WechatAccountSettings, url: str) -> list[AccountFinding]:
    async with JsonClient() as client:
        return await account_check.examine(client, settings, url)


def _simulate(
    port: Port = DEFAULT_PORT,
    adapter: Adapter = "http://127.0.0.1:8788",
    plain: Annotated[bool, typer.Option("--plain", help="Pushes in plain mode. Default: safe mode.")] = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print the adapter's settings for this platform, and end.")
    ] = False,
    state_dir: StateDir = None,
) -> None:
    directory = StateDirectory(state_dir or DEFAULT_DIRECTORY)
    directory.path.mkdir(parents=True, exist_ok=True)
    made = settings_of(directory, port, plain=plain)
    if settings:
        print("\n".join(f"{name}={value}" for name, value in made.items()), file=terminal.raw(sys.stdout))
        return
    if port_is_taken(port):
        raise StartError(f"--port: {port} is taken; stop what uses it, or give another")
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with WechatSimulator(
        token=made["WECHAT_TOKEN"],
        aes_key=made.get("WECHAT_ENCODING_AES_KEY"),
        port=port,
        app_secret=made["WECHAT_APP_SECRET"],
    ) as simulator:
        simulator.watch(adapter.rstrip("/"))
        print(f"phone     {simulator.url}  (another person: {simulator.url}/?openid=anybody)")
        print(f"pushes    {simulator.pusher.webhook}, {simulator.pusher.mode} mode")
        print("adapter   started with: env $(uniassist wechat-sim --settings) uniassist up", flush=True)
        signal.sigwait(ends)


def settings_of(directory: StateDirectory, port: int, *, plain: bool) -> dict[str, str]:
    """The adapter's four settings, made once for a state directory, and the platform's address."""
    made = {
        "WECHAT_TOKEN": directory.secret("WECHAT_TOKEN"),
        "WECHAT_APP_ID": APP_ID,
        "WECHAT_APP_SECRET": directory.secret("WECHAT_APP_SECRET"),
        "WECHAT_API_BASE_URL": f"http://127.0.0.1:{port}",
    }
    if not plain:
        seed = hashlib.sha256(directory.secret("WECHAT_ENCODING_AES_KEY").encode()).digest()
        made["WECHAT_ENCODING_AES_KEY"] = base64.b64encode(seed).decode().rstrip("=")
    return made
