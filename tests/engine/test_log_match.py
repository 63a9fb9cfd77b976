"""Conditions on log entries."""

from __future__ import annotations

import pytest

from obskit.engine.logs import MemoryLogs
from obskit.engine.policy import Opened, PolicyMachine, condition_of
from obskit.errors import QueryError

BASE = 1_760_000_040_000
STEP = 30_000


def entry(message, **more):
    return {"severity": "ERROR", "jsonPayload": {"message": message, **more}}


def policy(text, extractors=None, **more):
    body = {"filter": text, "labelExtractors": extractors or {}}
    return {
        "displayName": "Bad words",
        "conditions": [{"displayName": "seen", "conditionMatchedLog": body}],
        "alertStrategy": {"notificationRateLimit": {"period": "300s"}, "autoClose": "1800s"},
    } | more


def story(document, entries, steps):
    machine, told = PolicyMachine(document), []
    logs = MemoryLogs([(BASE + at, one) for at, one in entries])
    for step in range(steps):
        for event in machine.evaluate(BASE + step * STEP, None, None, logs):
            told.append((step, "+" if isinstance(event, Opened) else "-", dict(event.incident.labels)))
    return told


def test_an_entry_that_fits_opens_an_incident_that_closes_by_itself():
    """One bad entry at 45 s is seen at 60 s; half an hour after it nothing has followed."""
    entries = [(20_000, entry("fine")), (45_000, entry("disk is full"))]
    assert story(policy('"disk is full"'), entries, 70) == [(2, "+", {}), (62, "-", {})]


def test_each_entry_counts_once():
    """Further entries of the same kind keep the incident open, and are no second one."""
    entries = [(45_000, entry("full")), (1_000_000, entry("full"))]
    assert [(step, sign) for step, sign, _ in story(policy('"full"'), entries, 120)] == [(2, "+"), (94, "-")]


def test_extracted_labels_tell_incidents_apart():
    """One incident a user, by a field and by a part of the message."""
    extractors = {
        "user": "EXTRACT(jsonPayload.user)",
        "code": 'REGEXP_EXTRACT(jsonPayload.message, "code=(\\d+)")',
    }
    entries = [(10, entry("code=17", user="ada")), (20, entry("code=17", user="bob")), (30, entry("none", user="bob"))]
    found = [labels for _, _, labels in story(policy("severity>=ERROR", extractors), entries, 2)]
    assert found == [{"user": "ada", "code": "17"}, {"user": "bob", "code": "17"}, {"user": "bob", "code": ""}]


def test_without_a_source_of_logs_nothing_fits():
    """A policy on logs beside metrics alone stays silent."""
    machine = PolicyMachine(policy("severity>=ERROR"))
    assert machine.evaluate(BASE, None, None) == []
    assert machine.status()["state"] == "ok"


@pytest.mark.parametrize("expression", ["jsonPayload.user", "EXTRACT", "REGEXP_EXTRACT(a)", 'REGEXP_EXTRACT(a, "(")'])
def test_an_extractor_that_is_none_is_told(expression):
    """With the label, and what to write."""
    with pytest.raises(QueryError, match=r"label .user.*EXTRACT"):
        condition_of(policy("a", {"user": expression})["conditions"][0])
