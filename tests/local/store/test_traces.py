"""Spans in the store: lists of traces, page by page, and single ones."""

from __future__ import annotations

import pytest

from obskit.local.store import SpanRow, Store

START_NS = 1_800_000_000_000_000_000


def span(trace: int, number: int = 1, *, parent: int = 0, service: str = "shop", at_ms: float = 0.0, **more) -> SpanRow:
    start_ns = START_NS + round(at_ms * 1e6)
    values = {
        "trace_id": f"{trace:032x}",
        "span_id": f"{number:016x}",
        "parent_span_id": f"{parent:016x}" if parent else "",
        "name": "GET /items",
        "service": service,
        "kind": "SERVER",
        "start_ns": start_ns,
        "end_ns": start_ns + 100_000_000,
        **more,
    }
    return SpanRow(**values)


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_trace_sums_up_its_spans(store: Store):
    """Services, number of spans and errors, whole duration, and whether AI was called; the root gives the name."""
    store.traces.put(
        [
            span(1, 2, parent=1, service="gemini", name="chat", at_ms=10, attributes={"gen_ai.system": "gemini"}),
            span(1, 1, service="chatbot", name="POST /chat", at_ms=0),
            span(1, 3, parent=1, service="shop", at_ms=50, status_code="ERROR"),
        ]
    )
    (found,) = store.traces.list()["traces"]
    assert found == {
        "trace_id": f"{1:032x}",
        "root_name": "POST /chat",
        "services": ["chatbot", "gemini", "shop"],
        "spans": 3,
        "errors": 1,
        "start_ms": START_NS // 1_000_000,
        "duration_ms": 150.0,
        "has_ai": True,
    }


@pytest.mark.parametrize(
    ("wanted", "traces"),
    [
        ({}, [3, 2, 1]),
        ({"service": "chatbot"}, [2]),
        ({"query": "CHECK"}, [3]),
        ({"query": f"{1:032x}"}, [1]),
        ({"min_ms": 150.0}, [3]),
        ({"errors_only": True}, [2]),
        ({"start_ms": START_NS // 1_000_000 + 1000}, [3, 2]),
        ({"end_ms": START_NS // 1_000_000 + 1000}, [2, 1]),
        ({"service": "shop", "errors_only": True}, []),
    ],
)
def test_lists_are_narrowed(store: Store, wanted: dict, traces: list[int]):
    """By service, text, duration, errors and time, newest first."""
    store.traces.put(
        [
            span(1),
            span(2, service="chatbot", at_ms=1000, status_code="ERROR"),
            span(3, name="POST /checkout", at_ms=2000, end_ns=START_NS + 2_200_000_000),
        ]
    )
    assert [int(found["trace_id"], 16) for found in store.traces.list(**wanted)["traces"]] == traces


def test_pages_hold_every_trace_once(store: Store):
    """Also when many traces begin in the same millisecond."""
    store.traces.put([span(number, at_ms=number / 100) for number in range(1, 251)])
    seen, before = [], None
    while True:
        page = store.traces.list(limit=40, before=before)
        seen += [int(found["trace_id"], 16) for found in page["traces"]]
        before = page["next"]
        if before is None:
            break
    assert seen == list(range(250, 0, -1))


def test_one_trace_has_its_spans_in_order(store: Store):
    """Oldest first, in the form that the UI shows."""
    event = {"time_ms": 5.0, "name": "exception", "attributes": {}}
    store.traces.put([span(1, 2, parent=1, at_ms=5, events=(event,)), span(1, 1, status_message="no")])
    first, second = store.traces.get(f"{1:032x}")
    assert (first["span_id"], second["parent_span_id"]) == (f"{1:016x}", f"{1:016x}")
    assert first["status"] == {"code": "UNSET", "message": "no"}
    assert first["duration_ms"] == 100.0
    assert second["events"] == [event]
    assert store.traces.get("f" * 32) == []


def test_a_span_that_comes_twice_counts_once(store: Store):
    """An exporter that repeats a batch after a lost answer makes no second span."""
    store.traces.put([span(1)])
    store.traces.put([span(1)])
    assert store.traces.counts() == {"spans": 1, "server_spans": 1, "traces": 1, "cross_service_traces": 0}


def test_counts_tell_what_crosses_services(store: Store):
    """Server spans, traces, and traces with spans of several services."""
    store.traces.put([span(1, 1, service="a"), span(1, 2, service="b", kind="CLIENT"), span(2, 3, service="a")])
    assert store.traces.counts() == {"spans": 3, "server_spans": 2, "traces": 2, "cross_service_traces": 1}
    assert store.traces.server_spans_by_service() == {"a": 2}
    assert store.traces.services() == ["a", "b"]
    assert store.traces.newest("b")["span_id"] == f"{2:016x}"
    assert store.traces.newest("c") is None
