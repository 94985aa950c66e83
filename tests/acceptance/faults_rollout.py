"""Faults at which the rollout stops: some services are new, some old, and it says which."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.acceptance.base import Base
from tests.acceptance.faults import Case, Fault
from tests.acceptance.faults_before import migration
from tests.ports import free_port


def wrong_revision(base: Base, case: Case) -> None:
    """gateway reports v0 as its revision"""
    base.site.broken("v2-v0", "gateway", 'import os\nos.environ["UNIASSIST_REVISION"] = "v0"')
    ended = base.roll_out("v2-v0")
    case.noticed_by(ended, 12, "gateway", "not healthy as v2-v0", "v0 (env")
    case.state_is(base, ended, "v2-v0", "MIXED")


def slow_health(base: Base, case: Case) -> None:
    """each /health of provider-plan takes 6 s"""
    code = (
        "import time\n"
        "from uniassist.web.health import HealthRegistry\n"
        "_read = HealthRegistry.read\n"
        "HealthRegistry.read = lambda self: (time.sleep(6), _read(self))[1]"
    )
    base.site.broken("v2-slow", "provider-plan", code)
    ended = base.roll_out("v2-slow")
    case.noticed_by(ended, 12, "not healthy as v2-slow within 60 s", "doesn't answer")
    case.says(ended, "[1/4] provider-plan")


def crash_loop(base: Base, case: Case) -> None:
    """worker ends as soon as it has begun, again and again"""
    base.site.broken("v2-crash", "worker", 'raise RuntimeError("the model file is missing")')
    ended = base.roll_out("v2-crash")
    case.noticed_by(ended, 12, "not healthy as v2-crash", "the model file is missing")
    case.state_is(base, ended, "v2-crash", "MIXED")


def dependency_missing(base: Base, case: Case) -> None:
    """adapter-wechat imports a module that no requirement names"""
    base.site.broken("v2-import", "adapter-wechat", "import a_package_that_nobody_locked")
    ended = base.roll_out("v2-import")
    case.noticed_by(ended, 12, "not healthy as v2-import", "No module named 'a_package_that_nobody_locked'")
    case.state_is(base, ended, "v2-import", "MIXED")


def dependency_hash(base: Base, case: Case) -> None:
    """a locked dependency whose hash is wrong"""
    name = base.site.clone / "requirements" / "runtime.txt"

    def change() -> None:
        lines = name.read_text().splitlines()
        name.write_text("\n".join(_wrong_hash(line) for line in lines) + "\n")

    base.site.release_of("v2-hash", change)
    ended = base.roll_out("v2-hash")
    case.noticed_by(ended, 12, "its dependencies can't be installed")
    case.state_is(base, ended, "v2-hash", "all-old")


def _wrong_hash(line: str) -> str:
    head, mark, digest = line.partition("--hash=sha256:")
    return f"{head}{mark}{'0' * 64}{digest[64:]}" if mark else line


def migration_clash(base: Base, case: Case) -> None:
    """its migration makes a table that is there already"""
    base.site.inject("CREATE TABLE clash (id int)")
    migration(base, "v2-clash", "expand", "CREATE TABLE clash (id bigint)")
    ended = base.roll_out("v2-clash")
    case.noticed_by(ended, 12, 'relation "clash" already exists')
    case.state_is(base, ended, "v2-clash", "all-old")


def port_taken(base: Base, case: Case) -> None:
    """a stranger listens on the port that the new env set gives the gateway"""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        env = base.site.write_env(
            "taken.env", GATEWAY_PORT=str(port), STAGING_GATEWAY_BASE_URL=f"http://127.0.0.1:{port}"
        )
        ended = base.roll_out("v2", env)
    case.noticed_by(ended, 32, f"GATEWAY_PORT: port {port} on 127.0.0.1 is taken by process")


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(
            {"ok": True, "service": "gateway", "version": "1", "revision": "v2", "checks": {}}
        ).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None: ...


def stranger_answers(base: Base, case: Case) -> None:
    """the gateway's URL leads to another system's gateway, healthy and of the right revision"""
    server = HTTPServer(("127.0.0.1", 0), _Health)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        env = base.site.write_env("elsewhere.env", STAGING_GATEWAY_BASE_URL=url)
        case.noticed_by(base.roll_out("v2", env), 32, "a stranger answers")
    finally:
        server.shutdown()
        server.server_close()
    case.untouched(base)


def bad_providers_file(base: Base, case: Case) -> None:
    """UNIASSIST_PROVIDERS_FILE names a file that isn't there"""
    env = base.site.write_env("providers.env", UNIASSIST_PROVIDERS_FILE="/nonexistent/providers.toml")
    ended = base.roll_out("v2", env)
    case.noticed_by(ended, 12, "UNIASSIST_PROVIDERS_FILE")
    case.says(ended, "[3/4] gateway")
    case.state_is(base, ended, "v2", "MIXED")


def wrong_key(base: Base, case: Case) -> None:
    """WECHAT_ENCODING_AES_KEY is no such key"""
    env = base.site.write_env("key.env", WECHAT_ENCODING_AES_KEY="too-short")
    ended = base.roll_out("v2", env)
    case.noticed_by(ended, 12, "WECHAT_ENCODING_AES_KEY")
    case.says(ended, "[2/4] adapter-wechat")
    case.state_is(base, ended, "v2", "MIXED")


def redis_gone(base: Base, case: Case) -> None:
    """REDIS_URL of the new env set leads nowhere"""
    env = base.site.write_env("redis.env", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    ended = base.roll_out("v2", env)
    case.noticed_by(ended, 12, "[4/4] worker", "redis")
    case.state_is(base, ended, "v2", "all-new")  # each answers as v2; the worker is not well


FAULTS: dict[str, Fault] = {
    "wrong revision": wrong_revision,
    "slow health": slow_health,
    "crash loop": crash_loop,
    "dependency missing": dependency_missing,
    "dependency of another hash": dependency_hash,
    "migration clash": migration_clash,
    "port taken by a stranger": port_taken,
    "stranger behind the URL": stranger_answers,
    "bad providers file": bad_providers_file,
    "wrong key": wrong_key,
    "Redis gone for the new env set": redis_gone,
}
