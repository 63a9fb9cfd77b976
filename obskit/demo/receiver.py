"""A webhook receiver on loopback: what the on-call engineer's tool would be sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from obskit.demo.loopback import LoopbackServer

__all__ = ["WebhookReceiver"]


class WebhookReceiver:
    """Accepts notifications and keeps them, in the order of their arrival. A context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._payloads: list[Mapping[str, Any]] = []
        self._server = LoopbackServer(Starlette(routes=[Route("/notify", self._receive, methods=["POST"])]))

    @property
    def url(self) -> str:
        """The address to give to a webhook channel."""
        return f"{self._server.url}/notify"

    @property
    def payloads(self) -> list[Mapping[str, Any]]:
        """Everything received so far."""
        with self._lock:
            return list(self._payloads)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def _receive(self, request: Request) -> Response:
        payload = json.loads(await request.body())
        with self._lock:
            self._payloads.append(payload)
        return Response(status_code=204)
