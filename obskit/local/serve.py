"""The local backend as one object: gRPC and HTTP servers, alert evaluation and notifications, on loopback."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from obskit.errors import BackendError, ConfigError, Problem
from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.http.app import build_app
from obskit.local.http.context import BackendContext
from obskit.local.http.live import LiveFeed
from obskit.local.ingest.entries import write_entries
from obskit.local.notify import Notifier, WebhookPolicy, is_loopback
from obskit.local.rpc import serve_grpc
from obskit.local.store import Store
from obskit.local.uptime import UptimeChecker

__all__ = ["DEFAULT_GRPC_PORT", "DEFAULT_HTTP_PORT", "DEFAULT_PROJECT", "LocalBackend"]

DEFAULT_HTTP_PORT: Final = 4320
DEFAULT_GRPC_PORT: Final = 4321
DEFAULT_PROJECT: Final = "local-project"


class LocalBackend:
    """A local backend in this process.

    Args:
        project: project id of all telemetry; GOOGLE_CLOUD_PROJECT, or ``local-project``, when empty.
        http_port: port of the UI and HTTP services; 0 or a taken one means a free one.
        grpc_port: the same for the gRPC services.
        host: an address of this machine.
        clock: the time that telemetry is moved to; real time by default.
        data: folder in which telemetry survives a restart; None keeps it in memory.
        is_outside_delivery_allowed: whether webhooks to other machines are delivered, and their uptime is checked.
        webhook_secret: signs webhooks for `obskit.webhooks.Verifier`; empty leaves them unsigned.
        settle_s: real seconds between an evaluation instant and its evaluation.

    Raises:
        ConfigError: the host is not this machine, or the process runs on Cloud Run.
    """

    def __init__(
        self,
        *,
        project: str = "",
        http_port: int = DEFAULT_HTTP_PORT,
        grpc_port: int = DEFAULT_GRPC_PORT,
        host: str = "127.0.0.1",
        clock: Clock | None = None,
        data: Path | None = None,
        is_outside_delivery_allowed: bool = False,
        webhook_secret: str = "",
        settle_s: float = 1.0,
    ) -> None:
        _refuse_unsafe_place(host, os.environ)
        self.project = project or os.environ.get("GOOGLE_CLOUD_PROJECT", "") or DEFAULT_PROJECT
        self.clock = clock or Clock()
        self._host = host
        self._wanted = (http_port, grpc_port)
        self._data = data
        self._webhooks = WebhookPolicy(is_outside_allowed=is_outside_delivery_allowed, secret=webhook_secret)
        self._settle_s = settle_s
        self._running: _Running | None = None

    # ----------------------------------------------------------------- life

    def start(self) -> Self:
        """Start serving; does nothing when it already does."""
        if self._running is None:
            self._running = _Running(self)
        return self

    def stop(self, timeout_s: float = 8.0) -> bool:
        """Stop everything and return whether all of it ended in time. The backend can be started again."""
        running, self._running = self._running, None
        return running is None or running.stop(timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ----------------------------------------------------------------- what it is

    @property
    def http_url(self) -> str:
        """Address of the UI and the HTTP services."""
        return self._require().context.http_url

    @property
    def grpc_address(self) -> str:
        """HOST:PORT of the gRPC services."""
        return self._require().context.grpc_address

    @property
    def store(self) -> Store:
        """All telemetry and objects."""
        return self._require().context.store

    @property
    def evaluator(self) -> Evaluator:
        """What runs the alert policies."""
        return self._require().context.evaluator

    @property
    def notifier(self) -> Notifier:
        """What delivers notifications."""
        return self._require().notifier

    def write_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Store log entries in the JSON form of ``entries:write``, without a way through the network."""
        write_entries(self.store, entries)

    def _require(self) -> _Running:
        if self._running is None:
            raise BackendError(
                Problem(
                    place="LocalBackend", problem="it is not started", way_out="Call start(), or use it in a with block"
                )
            )
        return self._running


class _Running:
    """The servers and threads of a backend between its start and its stop."""

    def __init__(self, owner: LocalBackend) -> None:
        store = Store(owner.clock, owner._data, owner.project)  # noqa: SLF001 - one object in two halves
        host, (http_port, grpc_port) = owner._host, owner._wanted  # noqa: SLF001
        listener = _listen(host, http_port)
        http_url = f"http://{_in_url(host)}:{listener.getsockname()[1]}"
        self._grpc, bound = _serve_grpc(store, host, grpc_port, http_url)
        self.notifier = Notifier(
            project=owner.project,
            find_channel=store.objects.get,
            record=store.notifications.put,
            now_ms=owner.clock.now_ms,
            incident_url=lambda identity: f"{http_url}/incidents/{identity}",
            webhooks=owner._webhooks,  # noqa: SLF001
        )
        evaluator = Evaluator(store=store, clock=owner.clock, notifier=self.notifier, settle_s=owner._settle_s)  # noqa: SLF001
        uptime = UptimeChecker(
            store=store,
            clock=owner.clock,
            is_outside_allowed=owner._webhooks.is_outside_allowed,  # noqa: SLF001
        )
        self.context = BackendContext(
            store=store,
            clock=owner.clock,
            evaluator=evaluator,
            uptime=uptime,
            project=owner.project,
            http_url=http_url,
            grpc_address=f"{_in_url(host)}:{bound}",
        )
        self._feed = LiveFeed(owner.clock.now_ms)
        store.subscribe(self._feed.changed)
        self._http = _HttpThread(build_app(self.context, self._feed), listener)
        evaluator.start()
        uptime.start()

    def stop(self, timeout_s: float) -> bool:
        """End everything, in the order in which data flows."""
        deadline = time.monotonic() + timeout_s

        def left() -> float:
            return max(0.1, deadline - time.monotonic())

        ended = [self.context.uptime.stop(left()), self.context.evaluator.stop(left())]
        ended.append(self.notifier.close(min(3.0, left())))
        self._feed.close()
        ended.append(self._http.stop(left()))
        ended.append(self._grpc.stop(0.5).wait(left()))
        self.context.store.close()
        return all(ended)


class _HttpThread:
    """Uvicorn on its own thread, on a socket that is already bound."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="obskit-http", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10.0
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise BackendError(
                    Problem(place="HTTP server", problem="it did not start", way_out="See the log lines above")
                )
            time.sleep(0.01)

    def stop(self, timeout_s: float) -> bool:
        """Stop accepting, let the running requests end, and return whether the thread ended in time."""
        self._server.should_exit = True
        self._thread.join(timeout_s)
        self._listener.close()
        return not self._thread.is_alive()


def _refuse_unsafe_place(host: str, environ: Mapping[str, str]) -> None:
    problems = []
    if any(environ.get(name) for name in ("K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL")):
        problems.append(
            Problem(
                place="environment",
                problem="this is Cloud Run, and the local backend has no authentication",
                way_out='There, export to Google Cloud (exporters="gcp"); use this on a laptop or in CI',
            )
        )
    if not is_loopback(host):
        problems.append(
            Problem(
                place=f"host {host!r}",
                problem="it is not this machine alone, and the local backend has no authentication",
                way_out='Use "127.0.0.1", and a tunnel such as `ssh -L` to reach it from elsewhere',
            )
        )
    if problems:
        raise ConfigError(problems)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in dict.fromkeys((port, 0)):
        # asyncio sends without delay only where the protocol is named; else answers wait 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if candidate == 0:
                raise BackendError(
                    Problem(place=host, problem=f"no port can be bound: {error}", way_out="Use host 127.0.0.1")
                ) from error
            continue
        return listener
    raise AssertionError("unreachable")  # pragma: no cover


def _serve_grpc(store: Store, host: str, port: int, http_url: str) -> tuple[Any, int]:
    try:
        return serve_grpc(store, host, port, http_url)
    except (OSError, RuntimeError):
        return serve_grpc(store, host, 0, http_url)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
