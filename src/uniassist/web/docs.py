"""`/docs`: Swagger UI over `/openapi.json`, its files from an installed package, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from uniassist.errors import NotFound
from uniassist.web.operations import Handler

_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# Swagger UI sets style attributes and inlines its icons; everything else comes from here.
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
_START = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, '
    "presets: [SwaggerUIBundle.presets.apis]});\n"
)


def docs_routes(service: str) -> dict[str, Handler]:
    """GET handlers by path."""
    folder = _static_folder()
    if folder is None:
        return {"/docs": _not_installed}

    async def docs(_request: Request) -> Response:
        return Response(_page(service), media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    async def asset(request: Request) -> Response:
        name: str = request.path_params["name"]
        if name == "start.js":
            return Response(_START, media_type="text/javascript")
        if name not in _FILES:
            raise NotFound(f"no such file: {name[:64]}")
        return FileResponse(folder / name, media_type=_FILES[name], headers={"Cache-Control": "max-age=86400"})

    return {"/docs": docs, "/docs/assets/{name}": asset}


async def _not_installed(_request: Request) -> Response:
    raise NotFound("Swagger UI isn't installed here: pip install 'uniassist[docs]'; /openapi.json says the same")


def _static_folder() -> Path | None:
    """None: installed without the extra `docs`."""
    # found, not imported: the package's code would bring in template engines that nobody needs here
    spec = find_spec("swagger_ui")
    if spec is None:
        return None
    assert spec.submodule_search_locations, "swagger-ui-py is a package"
    return Path(spec.submodule_search_locations[0]) / "static"


def _page(service: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>UniAssist {escape(service)}: API</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" href="docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
"""
