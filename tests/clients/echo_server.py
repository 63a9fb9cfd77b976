"""A web server that says what it was sent, and the libraries that call it, all behind one shape."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import aiohttp
import httpx
import httpx2
import requests


class EchoServer:
    """`/` answers with the request's headers, `/status/N` with N, `/to?URL` redirects, `/drop` hangs up."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        echo = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                echo.seen.append({"path": self.path, **headers})
                path, _, query = self.path.partition("?")
                if path == "/drop":
                    self.close_connection = True
                    self.connection.close()
                    return
                body = json.dumps(headers).encode()
                self.send_response(302 if path == "/to" else int(path.rpartition("/")[2] or 200))
                if path == "/to":
                    self.send_header("Location", query)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def with_requests(url: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=5).status_code


def with_httpx(url: str) -> int:
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        return client.get(url).status_code


def with_httpx2(url: str) -> int:
    with httpx2.Client(follow_redirects=True, trust_env=False) as client:
        return client.get(url).status_code


def with_async_httpx(url: str) -> int:
    async def get() -> int:
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            return (await client.get(url)).status_code

    return asyncio.run(get())


def with_async_httpx2(url: str) -> int:
    async def get() -> int:
        async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as client:
            return (await client.get(url)).status_code

    return asyncio.run(get())


def with_aiohttp(url: str) -> int:
    async def get() -> int:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            await response.read()
            return response.status

    return asyncio.run(get())


LIBRARIES: dict[str, Any] = {
    "requests": with_requests,
    "httpx": with_httpx,
    "httpx async": with_async_httpx,
    "httpx2": with_httpx2,
    "httpx2 async": with_async_httpx2,
    "aiohttp": with_aiohttp,
}
