"""Play a test of an alert on the virtual clock, and judge what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from obskit.catalog import Route
from obskit.engine.replay import replay
from obskit.testing.expectations import OpenAt, OpenFrom
from obskit.testing.inputs import Sources
from obskit.testing.outcomes import Outcome
from obskit.testing.timeline import timeline

if TYPE_CHECKING:
    from obskit.testing.alerts import AlertTest

__all__ = ["Result", "judge"]

_LONGEST_MS: Final = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a test.

    Attributes:
        failures: what was otherwise than expected; empty where the test passed.
        outcome: what happened, None where the policy could not be played.
        text: a timeline of what was expected and what happened.
    """

    failures: tuple[str, ...]
    outcome: Outcome | None
    text: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


def judge(test: AlertTest, route: Route, stack: str) -> Result:
    """Play a test's policy and compare with what is expected."""
    document, sources = test.document(route, stack=stack), test.sources(route)
    end_ms = _end_ms(test, sources)
    played = replay(document, start_ms=test.start_ms, end_ms=end_ms, series=sources, typed=sources, logs=sources.logs)
    outcome = Outcome.of(played, document, start_ms=test.start_ms, end_ms=end_ms, route=route)
    failures = [played.problem] if played.problem else []
    if not test.expected:
        failures.append(str(test.problem("it expects nothing", "Add .is_open(…), .stays_silent() or another demand")))
    for each in test.expected:
        failures += each.failures(outcome)
    failures += _unexpected(test, outcome)
    return Result(tuple(failures), outcome, timeline(test.expected, outcome))


def _unexpected(test: AlertTest, outcome: Outcome) -> list[str]:
    wanted = [each for each in test.expected if isinstance(each, OpenFrom)]
    if not wanted or any(isinstance(each, OpenAt) for each in test.expected):
        return []
    extra = [each for each in outcome.incidents if not any(one.is_of(each, outcome) for one in wanted)]
    missed = sum(not any(one.is_of(each, outcome) for each in outcome.incidents) for one in wanted)
    # An incident at the wrong time is told already, by the demand that it does not meet.
    if len(extra) <= missed:
        return []
    return [f"{len(extra) - missed} more incident{'s' if len(extra) - missed > 1 else ''} than expected"]


def _end_ms(test: AlertTest, sources: Sources) -> int:
    if test.lasts_ms:
        return test.start_ms + min(test.lasts_ms, _LONGEST_MS)
    last = max((each.last_ms for each in test.expected), default=0)
    # One more minute, so that what is expected at the very end is followed by what must not come.
    return max(sources.last_ms, test.start_ms + last + (60_000 if last else 0))
