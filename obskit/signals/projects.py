"""Which project the process belongs to, where nobody has said it: log lines name it, and Cloud Run does not set it."""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from opentelemetry import context as otel_context

from obskit.signals import logs, requestlines
from obskit.signals.forks import once_threads_last
from obskit.signals.places import ask, metadata_host
from obskit.signals.worker import suppressed

__all__ = ["find"]

_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_CALL_S: Final = 1.0
_PAUSE_S: Final = 0.5
_SEARCH_S: Final = 10.0  # in a new pod of GKE the metadata server needs seconds until it answers

_asked: list[str] = []
"""The host that is asked, until it has answered."""
_listeners: Final[list[Callable[[str], object]]] = []


def find(environ: Mapping[str, str], then: Callable[[str], object] = lambda _: None) -> None:
    """Ask the metadata server for the project's id, on a thread of its own and for ten seconds at most.

    Log lines name their trace by it from then on. To be called on Google Cloud only.

    Args:
        environ: the environment; ``GCE_METADATA_HOST`` names another server.
        then: called with the project's id.
    """
    _asked[:] = [metadata_host(environ)]
    _listeners[:] = [then]
    _start()


def _start() -> None:
    threading.Thread(target=_search, args=tuple(_asked), name="obskit-project", daemon=True).start()


def _search(host: str) -> None:
    otel_context.attach(suppressed())
    deadline = time.monotonic() + _SEARCH_S
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            project = ask(host, "project/project-id", min(_CALL_S, left_s))
        except (OSError, http.client.HTTPException, ValueError):  # perhaps it is not up yet
            project = ""
        if _PROJECT.fullmatch(project):
            logs.use_project(project)
            requestlines.use_project(project)
            for listener in _listeners:
                listener(project)
            _asked.clear()
            return
        time.sleep(min(_PAUSE_S, max(0.0, deadline - time.monotonic())))


def _go_on() -> None:
    if _asked:  # there was no answer yet when the parent forked
        once_threads_last(_start)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_go_on)
