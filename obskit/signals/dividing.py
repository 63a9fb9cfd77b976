"""A batch that was refused on account of a few items: which they are, so that the others arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from obskit.signals.delivery import Outcome

__all__ = ["divided"]

_MOST_CALLS: Final = 64  # for one refused batch; three bad items among 512 are found in fewer


def divided(batch: Sequence[Any], attempt: Callable[[Any], Outcome], is_late: Callable[[], bool]) -> Outcome:
    """Find the items on whose account a batch was refused: its halves are sent, and the halves of those.

    Returns:
        What became of the batch as a whole. From the first item that must wait on, the rest does.
    """
    middle = (len(batch) + 1) // 2
    parts, calls = [batch[middle:], batch[:middle]], 0
    delivered = lost = 0
    why = Outcome()
    while parts:
        part = parts.pop()
        if is_late():
            return replace(why, delivered=delivered, lost=lost, retry_after_s=0.0)
        outcome = attempt(part)
        calls += 1
        if outcome.is_divisible and len(part) > 1 and calls < _MOST_CALLS:
            middle = (len(part) + 1) // 2
            parts += [part[middle:], part[:middle]]
            continue
        delivered += outcome.delivered
        if outcome.retry_after_s is not None:
            return replace(outcome, delivered=delivered, lost=lost + outcome.lost, is_divisible=False)
        if refused := len(part) - outcome.delivered:
            lost += refused
            why = Outcome(reason=outcome.reason or "rejected", detail=outcome.detail)
    return replace(why, delivered=delivered, lost=lost)
