"""The page and its files, read once at the start: they are small, and there is nothing to build."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from uniassist.errors import NotFound
from uniassist.web.operations import Handler

PATH = "/console"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# No script, no style and no picture but our own files, none in attributes: what a provider says stays text.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked anew each time, and answered with 304; but for files of this version
}


def pages() -> dict[str, Handler]:
    """GET handlers by path."""
    found = {
        entry.name: entry.read_bytes()
        for entry in files("uniassist.gateway.console").joinpath("static").iterdir()
        if entry.name.rpartition(".")[2] in _TYPES
    }
    # The page names its files by what they all hold, so that a browser that has them asks for the page alone.
    version = hashlib.sha256(b"".join(found[name] for name in sorted(found))).hexdigest()[:16]
    found["index.html"] = found["index.html"].replace(b"console/assets/", f"console/assets/{version}/".encode())
    tags = {name: f'"{hashlib.sha256(body).hexdigest()[:24]}"' for name, body in found.items()}

    def answer(request: Request, name: str, asked_version: str = "") -> Response:
        if name not in found:
            raise NotFound(f"no such file: {name[:64]}")
        headers = {**_HEADERS, "ETag": tags[name]}
        if asked_version == version:
            headers["Cache-Control"] = "private, max-age=31536000, immutable"
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(found[name], media_type=_TYPES[name.rpartition(".")[2]], headers=headers)

    async def page(request: Request) -> Response:
        return answer(request, "index.html")

    async def asset(request: Request) -> Response:
        asked_version, _, name = request.path_params["file"].partition("/")
        return answer(request, name, asked_version)

    # A page of another version, whose gateway was replaced, still finds its modules.
    return {PATH: page, f"{PATH}/assets/{{file}}": asset}
