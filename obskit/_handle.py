"""What `obskit.instrument` returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from obskit.config import Resolved, parse_duration
from obskit.errors import Problem

if TYPE_CHECKING:
    from obskit.signals.delivery import Status
    from obskit.signals.lifecycle import Pipeline

__all__ = ["Duration", "Handle"]

Duration = str | float | timedelta


class Handle:
    """What `instrument` returns: the ways to wait for the telemetry, and to ask how it is doing."""

    def __init__(
        self,
        pipeline: Pipeline | None,
        resolved: Resolved,
        problems: Callable[[], tuple[Problem, ...]],
        forget: Callable[[Handle], None] = lambda _: None,
    ) -> None:
        self._pipeline = pipeline
        self._forget = forget
        self._resolved = resolved
        self._problems = problems

    @property
    def is_enabled(self) -> bool:
        """Whether anything is recorded at all."""
        return self._pipeline is not None

    def flush(self, timeout: Duration | None = None) -> bool:
        """Deliver everything that waits.

        Args:
            timeout: in seconds, or as ``"5s"``, over all signals together; the setting `flush_timeout` by default.

        Returns:
            Whether everything has been delivered.
        """
        return self._pipeline is None or self._pipeline.flush(_seconds(timeout))

    def shutdown(self, timeout: Duration | None = None) -> bool:
        """Deliver everything that waits, and stop exporting. Requests are served on.

        Args:
            timeout: as for `flush`.

        Returns:
            Whether everything has been delivered.
        """
        if self._pipeline is None:
            return True
        is_delivered = self._pipeline.shutdown(_seconds(timeout))
        self._forget(self)
        return is_delivered

    def status(self) -> Status:
        """Return what was sent, lost and queued, where each setting came from, and what a person should know."""
        from obskit.signals.delivery import Status  # noqa: PLC0415 - a handle is cheap to make, also where obskit is off

        status = self._pipeline.status() if self._pipeline is not None else Status()
        problems = (*self._problems(), *status.problems)
        return replace(status, settings=dict(self._resolved.sources), problems=problems)


def _seconds(timeout: Duration | None) -> float | None:
    if timeout is None:
        return None
    return parse_duration(timeout).total_seconds()
