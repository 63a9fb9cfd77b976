"""An ASGI app under uvicorn in a thread of this process, on 127.0.0.1."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

__all__ = ["LoopbackServer"]

_PATIENCE_S = 10.0


class LoopbackServer:
    """Serves one app on loopback.

    Args:
        app: any ASGI app; its lifespan is not run.
        port: 0 takes a free one. The port is bound at once, so `url` is right before `start`.
    """

    def __init__(self, app: ASGIApp, *, port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections have it too
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="auto")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="obskit-loopback", daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Start serving; connections wait in the socket's backlog until the loop runs."""
        self._thread.start()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Stop serving, cut open connections and free the port."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)
        self._socket.close()
