"""What a test of an alert expects, and how each expectation judges what happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from obskit.testing.outcomes import Happened, Outcome, shown_time

__all__ = ["Expectation", "Notifies", "OpenAt", "OpenFrom", "Silent", "SilentAt"]

Labels = Mapping[str, str]

_MOST: Final = 4


class Expectation(Protocol):
    """One thing that is expected."""

    @property
    def last_ms(self) -> int:
        """The latest moment that it speaks of, in milliseconds since the test's beginning."""

    @property
    def fires(self) -> bool:
        """Whether it says that the policy fires."""

    def failures(self, outcome: Outcome) -> Iterator[str]:
        """Yield what is otherwise than expected."""

    def __str__(self) -> str:
        """Return it as a clause."""


def _where(labels: Labels) -> str:
    return f" for {', '.join(f'{name}={value}' for name, value in labels.items())}" if labels else ""


def _all_told(incidents: Sequence[Happened]) -> str:
    told = "; ".join(_told(each) for each in incidents[:_MOST])
    return told + (f"; and {len(incidents) - _MOST} times more" if len(incidents) > _MOST else "")


def _told(incident: Happened) -> str:
    until = "the end" if incident.closed_ms is None else shown_time(incident.closed_ms)
    return f"open from {shown_time(incident.opened_ms)} until {until}{_where(incident.labels)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFrom:
    """One incident is open from a moment until another; None is until the end."""

    from_ms: int
    until_ms: int | None
    within_ms: int = 0
    labels: Labels = field(default_factory=dict)
    fires = True

    @property
    def last_ms(self) -> int:
        """The latest moment that it speaks of."""
        return (self.from_ms if self.until_ms is None else self.until_ms) + self.within_ms

    def is_of(self, incident: Happened, outcome: Outcome) -> bool:
        """Return whether an incident is the one that is expected."""
        if not incident.has(self.labels, outcome.route) or not self._is_near(incident.opened_ms, self.from_ms, outcome):
            return False
        if self.until_ms is None or incident.closed_ms is None:
            return self.until_ms is None and incident.closed_ms is None
        return self._is_near(incident.closed_ms, self.until_ms, outcome)

    def _is_near(self, at_ms: int, wanted_ms: int, outcome: Outcome) -> bool:
        # A policy acts at its evaluations only: the first one that is not before the time that was named.
        step = outcome.replay.interval_ms
        due_ms = -(-wanted_ms // step) * step
        return abs(at_ms - due_ms) <= self.within_ms

    def failures(self, outcome: Outcome) -> Iterator[str]:
        """Yield what is otherwise than expected."""
        found = [each for each in outcome.incidents if each.has(self.labels, outcome.route)]
        fitting = [each for each in found if self.is_of(each, outcome)]
        # Where several conditions must hold at once, each of them has an incident.
        if not fitting or len({each.condition for each in fitting}) < len(fitting):
            happened = _all_told(found) or f"never open{_where(self.labels)}"
            yield f"expected it {self}, and it was {happened if len(fitting) < 2 else f'so {len(fitting)} times'}"

    def __str__(self) -> str:
        """Return it as a clause."""
        until = "the end" if self.until_ms is None else shown_time(self.until_ms)
        within = f" (within {shown_time(self.within_ms)})" if self.within_ms else ""
        return f"open from {shown_time(self.from_ms)} until {until}{_where(self.labels)}{within}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAt:
    """An incident is open at some moments."""

    at_ms: tuple[int, ...]
    labels: Labels = field(default_factory=dict)
    fires = True

    @property
    def last_ms(self) -> int:
        """The latest moment that it speaks of."""
        return max(self.at_ms)

    def failures(self, outcome: Outcome) -> Iterator[str]:
        """Yield what is otherwise than expected."""
        for at in self.at_ms:
            if not any(each.is_open(at) and each.has(self.labels, outcome.route) for each in outcome.incidents):
                yield f"expected it open at {shown_time(at)}{_where(self.labels)}, and it was not"

    def __str__(self) -> str:
        """Return it as a clause."""
        return f"open at {', '.join(map(shown_time, self.at_ms))}{_where(self.labels)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentAt:
    """No incident is open at some moments."""

    at_ms: tuple[int, ...]
    labels: Labels = field(default_factory=dict)
    fires = False

    @property
    def last_ms(self) -> int:
        """The latest moment that it speaks of."""
        return max(self.at_ms)

    def failures(self, outcome: Outcome) -> Iterator[str]:
        """Yield what is otherwise than expected."""
        for at in self.at_ms:
            found = [each for each in outcome.incidents if each.is_open(at) and each.has(self.labels, outcome.route)]
            if found:
                yield f"expected it silent at {shown_time(at)}, and it was {_all_told(found)}"

    def __str__(self) -> str:
        """Return it as a clause."""
        return f"silent at {', '.join(map(shown_time, self.at_ms))}{_where(self.labels)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """No incident opens at all."""

    labels: Labels = field(default_factory=dict)
    last_ms = 0
    fires = False

    def failures(self, outcome: Outcome) -> Iterator[str]:
        """Yield what is otherwise than expected."""
        found = [each for each in outcome.incidents if each.has(self.labels, outcome.route)]
        if found:
            yield f"expected it silent{_where(self.labels)}, and it was {_all_told(found)}"

    def __str__(self) -> str:
        """Return it as a clause."""
        return f"silent all the time{_where(self.labels)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifies:
    """A channel is told so often that something is open, reminders included."""

    channel: str
    times: int
    last_ms = 0

    @property
    def fires(self) -> bool:
        """Whether it says that the policy fires."""
        return self.times > 0

    def failures(self, outcome: Outcome) -> Iterator[str]:
        """Yield what is otherwise than expected."""
        sent = [each for each in outcome.notifications if each.event != "closed"]
        count = sum(each.channel == self.channel for each in sent)
        if count != self.times:
            told = ", ".join(f"{each.channel} at {shown_time(each.at_ms)}" for each in sent) or "nobody was told"
            yield f"expected {self}, and it was told {_often(count)} ({told})"

    def __str__(self) -> str:
        """Return it as a clause."""
        return f"{self.channel} told {_often(self.times)}"


def _often(times: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")
