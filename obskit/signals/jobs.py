"""Runs of background jobs: of queue workers, cron endpoints and scripts."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.trace import SpanKind

from obskit import catalog
from obskit.signals.loops import is_cancelled
from obskit.signals.metrics import record
from obskit.signals.traces import SpanBlock, error_type

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["Job", "job"]

_F = TypeVar("_F", bound=Callable[..., Any])
_Run = tuple[SpanBlock, float]

_runs: Final[ContextVar[tuple[tuple[int, _Run], ...]]] = ContextVar("obskit-job-runs", default=())


class Job:
    """A job, made by `job`: a context manager (also ``async with``) and a decorator. One object may run many times."""

    __slots__ = ("_attributes", "_labels", "name")

    def __init__(self, name: str, attributes: Mapping[str, Any] | None) -> None:
        self.name = name
        self._labels = {"obskit.job.name": name}
        self._attributes = {**(attributes or {}), **self._labels}

    def __enter__(self) -> Span:
        block = SpanBlock(self.name, self._attributes, SpanKind.INTERNAL)
        span = block.__enter__()
        _runs.set((*_runs.get(), (id(self), (block, time.perf_counter()))))
        return span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        found = self._leave()
        if found is None:
            return
        block, begun = found
        failed = None if error is None or _is_good_end(error) else error
        self._record(time.perf_counter() - begun, failed)
        block.__exit__(kind, failed, stack)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, stack)

    def __call__(self, function: _F) -> _F:
        """Return the function, each call of which is a run of the job.

        Raises:
            TypeError: it is a generator, whose call only begins the work; use ``with job(…)`` inside.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"obskit.job({self.name!r}) cannot decorate the generator {function.__qualname__}: its call only "
                f"begins the work. Write `with obskit.job({self.name!r}):` inside it."
            )
        wrapped: Any
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            wrapped = run_async
        else:

            @functools.wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return function(*args, **kwargs)

            wrapped = run
        result: _F = wrapped
        return result

    def _leave(self) -> _Run | None:
        # The innermost run of this object in this context: it may run within itself, and in many tasks at once.
        runs = _runs.get()
        for place in range(len(runs) - 1, -1, -1):
            owner, found = runs[place]
            if owner == id(self):
                _runs.set(runs[:place] + runs[place + 1 :])
                return found
        return None

    def _record(self, duration_s: float, failed: BaseException | None) -> None:
        if failed is None:
            record(catalog.JOB_DURATION, duration_s, self._labels)
            record(catalog.JOB_LAST_SUCCESS, time.time(), self._labels)
            return
        labels = {**self._labels, "error.type": error_type(failed)}
        record(catalog.JOB_DURATION, duration_s, labels)
        if not _is_stopped(failed):
            record(catalog.JOB_FAILURES, 1, labels)


def _is_good_end(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _is_stopped(error: BaseException) -> bool:
    """Return whether somebody has stopped the run: no success, and no failure of the job either."""
    return isinstance(error, KeyboardInterrupt) or is_cancelled(error)


def job(name: str, *, attributes: Mapping[str, Any] | None = None) -> Job:
    """Observe the runs of a background job: a span, its duration, failures, and when it last succeeded.

        with obskit.job("nightly-backup"):
            back_up()

        @obskit.job("send-mail")
        async def send(message): ...

    An exception counts as a failure and goes on; a run that is cancelled or interrupted is neither a failure nor a
    success, and ``sys.exit(0)`` is a success. The ready-made alerts `missed_job` and `missed_backup` ask for the last
    success. A script calls `obskit.instrument()` first, and may end right after its job: what is recorded is
    delivered at the end of the process.

    Args:
        name: one of a small, fixed set of names; it is a label of the metrics.
        attributes: put on the span, without their secrets.

    Raises:
        ValueError: the name is empty.
        TypeError: the name is no text, as in ``@obskit.job`` without its parentheses.
    """
    if not isinstance(name, str):
        raise TypeError(f'obskit.job needs the job\'s name, not {name!r}. Write @obskit.job("name").')
    if not name.strip():
        raise ValueError('obskit.job needs a name. Write obskit.job("nightly-backup").')
    return Job(name, attributes)
