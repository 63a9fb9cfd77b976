"""The cases of a pack as tests of its alerts.

from obskit.testing import pack_tests

TESTS = pack_tests("cloud-sql")  # collected by `obskit test-alerts` and by pytest
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from obskit.alerts import AlertPolicy
from obskit.catalog import Metric
from obskit.errors import DefinitionError, Problem
from obskit.packs import Case, Entry, Objective, Pack, Points, Sizes, pack_named
from obskit.queries.google_metrics import GoogleMetric
from obskit.testing.alerts import AlertTest

__all__ = ["pack_tests"]


def pack_tests(pack: Pack[Any] | str, policies: Iterable[AlertPolicy] | None = None) -> tuple[AlertTest, ...]:
    """Return a test for each case of a pack.

    Args:
        pack: the pack, or its name.
        policies: what is tested in place of the pack's own policies with its example settings: yours, by their ids.
            Only cases of ids among them are returned; those whose thresholds you changed need tests of your own.

    Raises:
        DefinitionError: there is no such pack, or none of its cases is for one of the policies.
    """
    found = pack_named(pack) if isinstance(pack, str) else pack
    given = found.example_objects().alerts if policies is None else tuple(policies)
    known = {each.id: each for each in given}
    # Whom others' policies tell is theirs to say.
    cases = found.cases if policies is None else [replace(case, tells={}) for case in found.cases]
    tests = tuple(_test(known[case.alert], case) for case in cases if case.alert in known)
    if not tests:
        problem = f"none of its cases is for {', '.join(known) or 'no policy at all'}"
        ids = ", ".join(dict.fromkeys(case.alert for case in found.cases))
        raise DefinitionError(
            Problem(place=f'pack "{found.name}"', problem=problem, way_out=f"Its cases are for {ids}")
        )
    return tests


def _test(policy: AlertPolicy, case: Case) -> AlertTest:
    test = AlertTest(policy, case.says, every=case.every)
    for given in case.given if isinstance(case.given, tuple) else (case.given,):
        test = _with(test, given)
    if case.opens:
        until = case.closes or None
        test = test.is_open(case.opens, until=until, within=case.within or 0, **case.labels)
    if case.open_at:
        test = test.is_open_at(*case.open_at, **case.labels)
    if case.silent_at:
        test = test.is_silent_at(*case.silent_at)
    if not case.fires and not case.silent_at:
        test = test.stays_silent()
    for channel, times in case.tells.items():
        test = test.notifies(channel, times=times)
    return test.lasting(case.lasts) if case.lasts else test


def _with(test: AlertTest, given: Points | Sizes | Entry | Objective) -> AlertTest:
    match given:
        case Points(metric=GoogleMetric() as metric):
            return test.metric(metric.type, given.values, value_type=metric.value.upper(), **_where(metric, given))
        case Sizes(metric=GoogleMetric() as metric):
            return test.histogram(metric.type, given.counts, bounds=given.bounds, **_where(metric, given))
        case Points(metric=Metric() as own):
            return test.metric(own, given.values, where=given.labels)
        case Sizes(metric=Metric() as own):
            return test.histogram(own, given.counts, where=given.labels)
        case Entry():
            return test.log(given.entry, at=list(given.at))
        case Objective():
            return test.objective(given.goal, good=given.good, total=given.total)
    return test


def _where(metric: GoogleMetric, given: Points | Sizes) -> dict[str, Any]:
    """Return where a series of one of Google's metrics stands: labels of its own, and of its resource."""
    resource_type = given.resource_type or next(iter(metric.resources), "global")
    return {
        "where": {name: value for name, value in given.labels.items() if name in metric.labels},
        "resource": {name: value for name, value in given.labels.items() if name not in metric.labels},
        "resource_type": resource_type,
        "kind": metric.kind.upper(),
    }
