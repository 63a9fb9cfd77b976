"""Every pack keeps what packs promise; each case of its alerts is a test of its own."""

from __future__ import annotations

import re

import pytest

from obskit.catalog import Route
from obskit.packs import Objects, pack_named, packs
from obskit.packs.registry import pack_names
from obskit.queries.context import RenderContext
from obskit.queries.notes import doubts
from obskit.testing import pack_tests
from obskit.testing.finding import untested

NAMES = pack_names()
_TESTS = {f"{name}: {test.name}": test for name in NAMES for test in pack_tests(name)}
_PLAYED = [
    (name, route)
    for name in _TESTS
    for route in Route
    if route is Route.GCP or "obskit" in pack_named(name.partition(":")[0]).needs
]


def rendered(name, route=Route.GCP):
    context = RenderContext(project="p", route=route)
    return {each.id: each.to_dict(context) for each in pack_named(name).example_objects().all}


@pytest.mark.parametrize("name", NAMES)
def test_its_definitions_break_no_rule_on_either_route(name):
    """With its example settings and with its defaults; metrics, labels and aligners are checked against the index."""
    pack = pack_named(name)
    for objects in (pack.objects(), pack.example_objects()):
        for route in Route:
            context = RenderContext(project="p", route=route)
            assert [str(found) for each in objects.all for found in each.problems(context)] == []
            found = [
                str(doubt)
                for each in objects.all
                for doubt in doubts(each.to_dict(context), place=each.id, route=route)
            ]
            assert found == []


@pytest.mark.parametrize("name", NAMES)
def test_it_has_what_a_pack_has(name):
    """A name that is its file's, a dashboard, alerts that say what to do and tell somebody, and a scenario."""
    pack = pack_named(name)
    objects = pack.objects()
    assert isinstance(objects, Objects)
    assert pack.name == name
    assert pack.title
    assert pack.summary.endswith(".")
    assert pack.needs
    assert pack.scenario.signals
    assert objects.dashboards
    ids = [(type(each).__name__, each.id) for each in objects.all]
    assert len(ids) == len(set(ids))
    for policy in objects.alerts:
        text = policy.documentation.content
        assert policy.channels, policy.id
        assert policy.severity, policy.id
        assert re.search(r"[Ss]ilence", text), policy.id
        assert all(f"{number}. " in text for number in (1, 2, 3)), policy.id


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_shown_firing_and_silent(name):
    """A policy without both cases fails the build."""
    policies = pack_named(name).example_objects().alerts
    assert [str(each) for each in untested(policies, list(pack_tests(name)))] == []


@pytest.mark.parametrize(("test", "route"), _PLAYED, ids=str)
def test_its_case_holds(test, route):
    """What fires, fires when it should; what is harmless stays silent."""
    _TESTS[test].check(route)


def test_no_two_packs_share_an_id():
    """All packs can be used in one project."""
    ids = [(type(each).__name__, each.id) for pack in packs() for each in pack.example_objects().all]
    assert sorted({each for each in ids if ids.count(each) > 1}) == []
