"""Run the tests of alerts that were found, and keep what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obskit.alerts import AlertPolicy
from obskit.catalog import Route
from obskit.errors import ObskitError, Problem
from obskit.testing.finding import Named
from obskit.testing.promtool import run_file

__all__ = ["Report", "Verdict", "run_tests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one test.

    Attributes:
        name: ``alerts/test_service.py::slow``.
        policy: the id of the policy, or the alert's name in promtool's files.
        says: what the case is.
        place: ``path:line``.
        failures: what was otherwise than expected; empty where it passed.
        timeline: for people; empty where there is none.
        seconds: that it took.
        outcome: what happened, as JSON.
        skipped: why it did not run; empty where it did.
    """

    name: str
    policy: str
    says: str
    place: str
    failures: tuple[str, ...]
    seconds: float
    timeline: str = ""
    outcome: dict[str, Any] | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of all tests, and what kept some from being found."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The tests that failed."""
        return tuple(each for each in self.verdicts if each.failures)

    @property
    def skipped(self) -> tuple[Verdict, ...]:
        """The tests that did not run, because the stack leaves their policies out."""
        return tuple(each for each in self.verdicts if each.skipped)

    @property
    def exit_code(self) -> int:
        """0: all that ran passed; 1: some failed; 2: some could not be loaded, or none ran."""
        if self.problems or len(self.skipped) == len(self.verdicts):
            return 2
        return 1 if self.failed else 0


def run_tests(
    tests: Sequence[Named],
    files: Sequence[Path],
    *,
    route: Route,
    stack: str = "default",
    told: Callable[[Verdict], None] = lambda _: None,
) -> Report:
    """Run tests, and tell of each one when it is over.

    Args:
        tests: in Python.
        files: for promtool.
        route: that policies and catalog metrics are spelled for.
        stack: that policies are rendered for.
        told: is called with each verdict.
    """
    verdicts: list[Verdict] = []
    problems: list[Problem] = []
    for named in tests:
        verdicts.append(_run(named, route, stack))
        told(verdicts[-1])
    for path in files:
        try:
            for case in run_file(path):
                verdicts.append(
                    Verdict(
                        name=case.name,
                        policy=case.alert,
                        says=case.says,
                        place=str(path),
                        failures=case.failures,
                        seconds=case.seconds,
                    )
                )
                told(verdicts[-1])
        except ObskitError as error:
            problems += getattr(error, "problems", ())
    return Report(verdicts=tuple(verdicts), problems=tuple(problems))


def _run(named: Named, route: Route, stack: str) -> Verdict:
    begin = time.perf_counter()
    test = named.test
    if isinstance(test.policy, AlertPolicy) and test.policy.is_left_out(stack):
        return Verdict(
            name=named.name,
            policy=test.policy_id,
            says=test.says,
            place=test.source,
            failures=(),
            seconds=0.0,
            skipped=f'its policy is left out in stack "{stack}"',
        )
    try:
        result = test.run(route, stack=stack)
        failures, text, outcome = result.failures, result.text, result.outcome
    except ObskitError as error:  # the policy cannot be rendered
        failures, text, outcome = (str(error),), "", None
    return Verdict(
        name=named.name,
        policy=test.policy_id,
        says=test.says,
        place=test.source,
        failures=failures,
        timeline=text,
        seconds=time.perf_counter() - begin,
        outcome=None if outcome is None else outcome.to_dict(),
    )
