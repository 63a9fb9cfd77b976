"""The checks of a service: run at once, on demand or in the background, and shown by an endpoint."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from obskit.config import parse_duration
from obskit.health.asgi import HealthASGI
from obskit.health.checks import Check
from obskit.health.results import Report
from obskit.health.wsgi import HealthWSGI
from obskit.signals.forks import once_threads_last

__all__ = ["Health"]

_F = TypeVar("_F", bound=Callable[[], Any])
_all: Final[weakref.WeakSet[Health]] = weakref.WeakSet()


class Health:
    """The health checks of a service, and the endpoint that shows them.

    Args:
        timeout: of a check that names none; in seconds, or as ``"2s"``.
        cache: for how long a result stands, for a check that names no time; 0 checks anew each time.
        details: whether the endpoint shows each check with its duration and the class of its exception; for services
            that only colleagues reach. The exception's message is never shown.
    """

    def __init__(self, *, timeout: float | str = "2s", cache: float | str = "10s", details: bool = False) -> None:
        self._timeout_s = _seconds(timeout, name="timeout")
        self._cache_s = _seconds(cache, name="cache", least=0.0)
        self.details = details
        self._checks: dict[str, Check] = {}
        self._interval_s: float | None = None
        self._stop = threading.Event()
        _all.add(self)

    # ----------------------------------------------------------------- checks

    def check(
        self, name: str, *, timeout: float | str | None = None, cache: float | str | None = None, required: bool = True
    ) -> Callable[[_F], _F]:
        """Return a decorator that adds a function without arguments as a check.

        It passes when the function returns, and fails when it raises, returns False, or takes too long. A plain
        function runs on a thread of its own; a coroutine function on the loop that serves the endpoint, or, in the
        background and under WSGI, on a loop of its own.

        Args:
            name: of the check, and the label `provider` of the metric `provider_status`.
            timeout: after which a run counts as failed; in seconds, or as ``"2s"``.
            cache: for how long a result stands.
            required: whether the service is not ready while it fails.

        Raises:
            ValueError: there is a check of that name already, or a duration is none.
        """

        def add(function: _F) -> _F:
            self.add(name, function, timeout=timeout, cache=cache, required=required)
            return function

        return add

    def add(
        self,
        name: str,
        function: Callable[[], Any],
        *,
        timeout: float | str | None = None,
        cache: float | str | None = None,
        required: bool = True,
    ) -> None:
        """Add a function as a check; see `check`.

        Raises:
            ValueError: there is a check of that name already, or a duration is none.
        """
        if not name or name in self._checks:
            raise ValueError(f"there is a check {name!r} already, or its name is empty. Give each check its own name.")
        self._checks[name] = Check(
            name,
            function,
            timeout_s=self._timeout_s if timeout is None else _seconds(timeout, name="timeout"),
            cache_s=self._cache_s if cache is None else _seconds(cache, name="cache", least=0.0),
            is_required=required,
        )

    def run(self) -> Report:
        """Return what all checks say; they run at once, and this blocks for at most the longest timeout."""
        waits = [check.begin() for check in list(self._checks.values())]
        return Report(results=tuple(wait() for wait in waits))

    async def run_async(self) -> Report:
        """Return what all checks say; they run at once."""
        return Report(results=tuple(await asyncio.gather(*(check.result_async() for check in self._checks.values()))))

    # ----------------------------------------------------------------- in the background

    def watch(self, interval: float | str = "30s") -> None:
        """Run the checks in the background too, so that the metric and the alerts do not depend on who asks.

        In each process that is forked from this one the checks go on by themselves; they end with the process. Again,
        only the interval changes.

        Args:
            interval: between the begins of two rounds, 1 s or more; in seconds, or as ``"30s"``.

        Raises:
            ValueError: the interval is no duration, or shorter.
        """
        seconds = _seconds(interval, name="interval", least=1.0)
        is_watching, self._interval_s = self._interval_s is not None, seconds
        if not is_watching:
            self._stop = threading.Event()
            once_threads_last(self._begin_watching)

    def stop(self) -> None:
        """End the rounds in the background; the endpoint goes on."""
        self._interval_s = None
        self._stop.set()

    def _begin_watching(self) -> None:
        stop = self._stop
        if not stop.is_set():
            threading.Thread(target=_watch, args=(weakref.ref(self), stop), name="obskit-health", daemon=True).start()

    def _renew(self) -> None:
        for check in self._checks.values():
            check.renew()
        if self._interval_s is not None:
            self._stop = threading.Event()
            once_threads_last(self._begin_watching)

    # ----------------------------------------------------------------- the endpoint

    def install(self, app: Any, *, path: str = "/health") -> None:
        """Serve the endpoint from a FastAPI, Starlette or Flask app; it is in no OpenAPI document.

        ``PATH`` and ``PATH/ready`` answer 200, or 503 while a required check fails; ``PATH/live`` answers 200 as long
        as the process answers at all, and runs no check.

        Args:
            app: the app.
            path: where, with a leading slash.

        Raises:
            TypeError: it is none of these; use `asgi` or `wsgi`.
        """
        kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(app).__mro__}
        if ("starlette", "Starlette") in kinds:
            from obskit.health.starlette import install  # noqa: PLC0415 - only where Starlette is
        elif ("flask", "Flask") in kinds:
            from obskit.health.flask import install  # noqa: PLC0415
        else:
            raise TypeError(
                f"{type(app).__module__}.{type(app).__qualname__} is not a FastAPI, Starlette or Flask app. "
                "Wrap it: app = health.asgi(app), or app = health.wsgi(app)."
            )
        install(app, self, path.rstrip("/"))

    def asgi(self, app: Any = None, *, path: str = "/health") -> HealthASGI:
        """Return an ASGI app that serves the endpoint, and passes everything else to `app`."""
        return HealthASGI(self, app, path.rstrip("/"))

    def wsgi(self, app: Any = None, *, path: str = "/health") -> HealthWSGI:
        """Return a WSGI app that serves the endpoint, and passes everything else to `app`."""
        return HealthWSGI(self, app, path.rstrip("/"))


def _watch(health: weakref.ref[Health], stop: threading.Event) -> None:
    while True:
        begun = time.monotonic()
        found = health()
        if found is None or found._interval_s is None:  # noqa: SLF001 - the same module
            return
        found.run()
        wait_s = max(0.0, begun + found._interval_s - time.monotonic())  # noqa: SLF001
        del found  # so that one whom nobody holds any more is not kept by its own thread
        if stop.wait(wait_s):
            return


def _seconds(value: float | str, *, name: str, least: float = 0.01) -> float:
    seconds = parse_duration(value).total_seconds()
    if seconds < least:
        raise ValueError(f'{name} {value!r} is shorter than {least:g} s. Write for example "5s".')
    return seconds


def _renew_all() -> None:
    for health in list(_all):
        health._renew()  # noqa: SLF001 - the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
