"""The pipeline's conscience: problems said once, losses counted in one line."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from obskit.signals.names import ERRORS, METRICS, SIGNALS, SPANS

if TYPE_CHECKING:
    from obskit.errors import Problem
    from obskit.signals.delivery import Status
    from obskit.signals.outlets import Outlet

__all__ = ["Tally", "Undelivered", "spooled", "status_of", "undelivered"]

_log = logging.getLogger("obskit")
_NOUNS: Final = {SPANS: ("span", "spans"), METRICS: ("metric point", "metric points"), ERRORS: ("error", "errors")}
_SAY_EVERY_S: Final = 60.0
_MOST_PROBLEMS: Final = 20

Undelivered = Counter[tuple[str, str]]
"""How many items were not delivered, by signal and reason."""


def undelivered(outlets: Iterable[Outlet]) -> Undelivered:
    """Count what the outlets have lost. What waits, or is on disk, is not."""
    counts: Undelivered = Counter()
    for outlet in outlets:
        for signal, reasons in outlet.lost().items():
            for reason, count in reasons.items():
                counts[signal, reason] += count
    return +counts


def _listed(counts: Mapping[str, int]) -> str:
    found = [(counts.get(signal, 0), *_NOUNS[signal]) for signal in SIGNALS]
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in found if count)


def spooled(outlets: Iterable[Outlet]) -> dict[str, int]:
    """Return how much of what this process has recorded is on disk, by signal."""
    stored = [outlet.store.waiting() for outlet in outlets if outlet.store is not None]
    return {signal: sum(counts[signal] for counts in stored) for signal in SIGNALS}


def status_of(outlets: Sequence[Outlet], tally: Tally, *, is_running: bool) -> Status:
    """Return how the outlets are doing; the settings are the caller's to add."""
    from obskit.signals.delivery import Status  # noqa: PLC0415 - an app must not wait for it to start

    counts = undelivered(outlets)
    lost = dict.fromkeys(SIGNALS, 0)
    for (signal, _), count in counts.items():
        lost[signal] += count
    sent = [outlet.sent() for outlet in outlets]
    return Status(
        exporters=tuple(outlet.destination.name for outlet in outlets if outlet.destination is not None),
        sent={signal: sum(one[signal] for one in sent) for signal in SIGNALS},
        lost=lost,
        lost_by_reason={f"{signal}: {reason}": count for (signal, reason), count in sorted(counts.items())},
        queued={
            SPANS: sum(outlet.spans.queued for outlet in outlets),
            METRICS: sum(outlet.points_pending for outlet in outlets),
            ERRORS: sum(outlet.errors.queued for outlet in outlets),
        },
        spooled=spooled(outlets),
        mended={signal: sum(outlet.mended[signal] for outlet in outlets) for signal in SIGNALS},
        problems=tally.problems,
        is_running=is_running,
    )


class Tally:
    """Keeps the problems, and says what was lost: at most one line a minute, and one at the end.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._problems: dict[tuple[str, str], Problem] = {}
        self._lock = threading.RLock()
        self._said: Counter[str] = Counter()
        self._said_at = float("-inf")
        self._said_kept = ""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems so far, the last ones when there were many."""
        return tuple(self._problems.values())

    def tell(self, problem: Problem) -> None:
        """Remember a problem, and log it when its like is new: same place, same first words."""
        key = (problem.place, problem.problem[:40])
        is_new = key not in self._problems
        self._problems[key] = problem
        if not is_new:
            return
        if len(self._problems) > _MOST_PROBLEMS:
            del self._problems[next(iter(self._problems))]
        self._say(str(problem))

    def announce(
        self,
        counts: Mapping[tuple[str, str], int],
        *,
        kept: Mapping[str, int] | None = None,
        at_once: bool = False,
    ) -> None:
        """Log one line that counts what was not delivered and has not been said yet.

        Args:
            counts: from `undelivered`.
            kept: what is on disk for the next start, by signal; it is said too.
            at_once: also within a minute of the line before.
        """
        with self._lock:  # an end that the export thread is late for says what the thread is about to say
            text = self._news(counts, kept, at_once=at_once)
        if text:
            self._say(text)

    def _news(
        self, counts: Mapping[tuple[str, str], int], kept: Mapping[str, int] | None, *, at_once: bool
    ) -> str | None:
        totals: Counter[str] = Counter()
        for (signal, _), count in counts.items():
            totals[signal] += count
        news = totals - self._said
        saved = _listed(kept or {})
        is_new = kept is not None and saved != self._said_kept
        if kept is not None:
            self._said_kept = saved
        if not news:
            return f"obskit keeps {saved} on disk until they can be delivered" if saved and is_new else None
        if not (at_once or self._clock() - self._said_at >= _SAY_EVERY_S):
            return None
        self._said |= totals
        self._said_at = self._clock()
        reasons = sorted({reason for (signal, reason), count in counts.items() if count and news[signal]})
        rest = f"; it keeps {saved} on disk" if saved else ""
        return f"obskit did not deliver {_listed(news)} ({', '.join(reasons)}){rest}"

    @staticmethod
    def _say(text: str) -> None:
        # In an empty context: the export thread's own is marked as "record nothing that happens here".
        contextvars.Context().run(_log.warning, "%s", text)
