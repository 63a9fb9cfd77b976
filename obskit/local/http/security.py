"""What keeps the local backend local: only pages of its own may talk to it, and telemetry stays inert text.

A page of another site can make a browser send requests to 127.0.0.1, by a name that it controls (DNS
rebinding) or by a form. So the Host must be this machine, the Origin must be our own or absent, and a POST
must carry a type that no form can send.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from obskit.local.notify import is_loopback

__all__ = ["CONTENT_SECURITY_POLICY", "MAX_BODY_BYTES", "SecurityMiddleware"]

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Largest body, both as sent and after decompression."""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_OTLP_PATHS: Final = frozenset({"/v1/traces", "/v1/metrics", "/v1/logs"})
_OTLP_TYPES: Final = frozenset({"application/json", "application/x-protobuf"})
# Prometheus clients post their queries as forms; the Origin check alone guards these, and they only read.
_FORM_PATHS: Final = "/location/global/prometheus/api/v1/"


class SecurityMiddleware:
    """Refuses what does not come from this machine's own pages or tools; adds the protective headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request and pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = _refusal(scope["method"], scope["path"], headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        try:
            body = await _Body.read(receive, headers) if scope["method"] not in _SAFE_METHODS else None
        except _Unacceptable as problem:
            await _refuse(send, problem.status, str(problem))
            return
        if body is not None and body.is_inflated:
            scope["headers"] = [
                (name, value)
                for name, value in scope["headers"]
                if name not in {b"content-encoding", b"content-length"}
            ] + [(b"content-length", str(len(body.content)).encode())]
        await self._app(scope, receive if body is None else body.replay(receive), _protect(send))


def _refusal(method: str, path: str, headers: Headers) -> tuple[int, str] | None:
    host = headers.get("host", "")
    if not is_loopback(_hostname(host)):
        return 421, f"this backend serves only this machine, not the host {host!r}"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return 403, f"pages of {origin!r} may not use this backend"
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"} and method not in _SAFE_METHODS:
        return 403, "pages of other sites may not use this backend"
    if method in {*_SAFE_METHODS, "DELETE"}:
        return None
    allowed = _OTLP_TYPES if path in _OTLP_PATHS else frozenset({"application/json"})
    if _FORM_PATHS in path:
        allowed |= {"application/x-www-form-urlencoded"}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in allowed:
        return 415, f"the body must be {' or '.join(sorted(allowed))}, not {kind or 'untyped'!r}"
    return None


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class _Unacceptable(Exception):
    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class _Body:
    """A body that has been read within its limit, and decompressed within the same limit."""

    def __init__(self, content: bytes, *, is_inflated: bool) -> None:
        self.content = content
        self.is_inflated = is_inflated

    @classmethod
    async def read(cls, receive: Receive, headers: Headers) -> _Body:
        content = await _read(receive)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        inflate = _INFLATE.get(encoding)
        if encoding == "identity" or not content:
            return cls(content, is_inflated=False)
        if inflate is None:
            raise _Unacceptable(415, f"content encoding {encoding!r} is not gzip or deflate")
        try:
            inflated = inflate(content)
        except (OSError, EOFError, zlib.error) as error:
            raise _Unacceptable(400, f"the body is not {encoding}: {error}") from error
        return cls(inflated, is_inflated=True)

    def replay(self, receive: Receive) -> Receive:
        """Return a `receive` that hands out the body once and then what really comes."""
        is_sent = False

        async def again() -> Message:
            nonlocal is_sent
            if is_sent:
                return await receive()
            is_sent = True
            return {"type": "http.request", "body": self.content, "more_body": False}

        return again


async def _read(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Unacceptable(400, "the client went away")
        piece = message.get("body", b"")
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise _Unacceptable(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _limited(content: bytes) -> bytes:
    if len(content) > MAX_BODY_BYTES:
        raise _Unacceptable(413, f"the body is larger than {MAX_BODY_BYTES} bytes once it is decompressed")
    return content


def _gunzip(content: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        return _limited(stream.read(MAX_BODY_BYTES + 1))


def _inflate(content: bytes) -> bytes:
    return _limited(zlib.decompressobj().decompress(content, MAX_BODY_BYTES + 1))


_INFLATE: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": _gunzip, "deflate": _inflate}


def _protect(send: Send) -> Send:
    async def protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return protected


async def _refuse(send: Send, status: int, problem: str) -> None:
    body = json.dumps({"error": {"code": status, "message": problem, "status": "PERMISSION_DENIED"}}).encode()
    headers: dict[str, Any] = {**_HEADERS, "content-type": "application/json", "content-length": str(len(body))}
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
