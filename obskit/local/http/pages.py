"""The web UI's files, and its one page for every path that the UI itself resolves."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from obskit.local.http.replies import ApiError

__all__ = ["WEB_FOLDER", "page_routes"]

WEB_FOLDER: Final = Path(__file__).parent.parent / "web"
_FILE: Final = re.compile(r"\.(js|mjs|css|map|html|json|txt|xml|svg|png|jpg|gif|ico|webp|woff2?|php)$")
_NO_CACHE: Final = {"cache-control": "no-cache"}

# A machine's own table may say application/javascript or nothing; with `nosniff` the type decides.
for _suffix, _kind in {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
}.items():
    mimetypes.add_type(_kind, _suffix)


class _Files(StaticFiles):
    """Static files that a browser asks about each time; the ETag makes the answer short."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_NO_CACHE)
        return response


async def _page(request: Request) -> Response:
    if _FILE.search(request.url.path):  # a file that is not there, not a place in the UI
        raise ApiError(404, f"no such file: {request.url.path}")
    index = WEB_FOLDER / "index.html"
    if not index.is_file():
        raise ApiError(404, "this installation has no web UI")
    return FileResponse(index, headers=_NO_CACHE)


async def _nothing(request: Request) -> Response:
    raise ApiError(404, f"no such service: {request.method} {request.url.path}")


def page_routes() -> list[BaseRoute]:
    """Return the routes of the UI; they match every path, so they come last."""
    return [
        Mount("/static", _Files(directory=WEB_FOLDER, check_dir=False)),
        Route("/{api:path}", _nothing, methods=["POST", "PUT", "PATCH", "DELETE"]),
        *(Route(f"/{prefix}/{{rest:path}}", _nothing, methods=["GET"]) for prefix in ("api", "v1", "v2", "v3")),
        Route("/{place:path}", _page, methods=["GET"]),
    ]
