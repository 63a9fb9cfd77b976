"""Log entries in the store: searched, paged, and given back as they came."""

from __future__ import annotations

from typing import Any

import pytest

from obskit.errors import QueryError
from obskit.local.store import EntryRow, Store

START_NS = 1_800_000_000_000_000_000


def row(number: int, *, severity: str = "INFO", service: str = "shop", trace: str = "", **payload: Any) -> EntryRow:
    message = str(payload.get("message", f"line {number}"))
    return EntryRow(
        time_ns=START_NS + number * 1_000_000,
        severity=severity,
        service=service,
        message=message,
        trace_id=trace,
        log_name="projects/p/logs/app",
        insert_id=f"i{number}",
        entry={"logName": "projects/p/logs/app", "severity": severity, "jsonPayload": {"message": message, **payload}},
    )


@pytest.fixture
def store() -> Store:
    return Store()


def messages(found: dict[str, Any]) -> list[str]:
    return [entry["message"] for entry in found["entries"]]


def test_an_entry_is_shown_with_its_fields(store: Store):
    """In the form that the UI takes: request and other fields apart from the message."""
    entry = {
        "logName": "projects/p/logs/app",
        "severity": "ERROR",
        "jsonPayload": {"message": "no", "user_id": "u1", "severity": "ERROR"},
        "httpRequest": {"requestMethod": "GET", "requestUrl": "/x", "status": 500, "latency": "0.25s"},
    }
    store.logs.put(
        [EntryRow(time_ns=START_NS, severity="ERROR", service="shop", message="no", span_id="b" * 16, entry=entry)]
    )
    (shown,) = store.logs.list()["entries"]
    assert shown.pop("id")
    assert shown == {
        "time_ms": START_NS / 1e6,
        "severity": "ERROR",
        "service": "shop",
        "message": "no",
        "trace_id": "",
        "span_id": "b" * 16,
        "http": {"method": "GET", "url": "/x", "status": 500, "latency_ms": 250.0},
        "fields": {"user_id": "u1"},
        "log_name": "",
    }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["no stock", "line 2", "line 1"]),
        ({"severity": "WARNING"}, ["no stock"]),
        ({"service": "chatbot"}, ["line 2"]),
        ({"query": "STOCK"}, ["no stock"]),
        ({"query": "sku-7"}, ["no stock"]),
        ({"trace_id": "a" * 32}, ["line 1"]),
        ({"filter": 'severity>=ERROR jsonPayload.sku="sku-7"'}, ["no stock"]),
        ({"start_ms": START_NS // 1_000_000 + 2}, ["no stock", "line 2"]),
        ({"end_ms": START_NS // 1_000_000 + 2}, ["line 2", "line 1"]),
    ],
)
def test_lists_are_narrowed(store: Store, wanted: dict, found: list[str]):
    """By severity, service, text anywhere in the entry, trace, filter and time; newest first."""
    store.logs.put(
        [
            row(1, trace="a" * 32),
            row(2, service="chatbot"),
            row(3, severity="ERROR", message="no stock", sku="sku-7"),
        ]
    )
    assert messages(store.logs.list(**wanted)) == found


def test_pages_hold_every_entry_once_whatever_the_order_of_arrival(store: Store):
    """Late entries have their place by time, on whatever page that is."""
    numbers = list(range(100))
    store.logs.put([row(number) for number in numbers[::2]])
    store.logs.put([row(number) for number in numbers[1::2]])
    seen: list[str] = []
    before = None
    while True:
        page = store.logs.list(limit=7, before=before)
        seen += messages(page)
        before = page["next"]
        if before is None:
            break
    assert seen == [f"line {number}" for number in reversed(numbers)]


def test_a_page_that_a_filter_leaves_empty_says_where_to_look_on(store: Store):
    """Only so many entries are looked at for one page, and the rest is not passed over in silence."""
    store.logs.put([row(number) for number in range(20_005)])
    page = store.logs.list(filter='jsonPayload.message="line 1"')
    assert page["entries"] == []
    assert messages(store.logs.list(filter='jsonPayload.message="line 1"', before=page["next"])) == ["line 1"]


def test_an_entry_that_comes_twice_counts_once(store: Store):
    """Same log, time and insertId: a sender that tried again."""
    store.logs.put([row(1), row(2)])
    store.logs.put([row(2)])
    assert store.logs.counts() == {"log_entries": 2, "access_entries": 0}


def test_entries_come_back_in_the_order_of_time(store: Store):
    """As they were written, either way round, and beyond what is read at once."""
    store.logs.put([row(number) for number in reversed(range(4500))])
    assert [entry["jsonPayload"]["message"] for entry in store.logs.entries(limit=2)] == ["line 0", "line 1"]
    (last,) = store.logs.entries(limit=1, newest_first=True)
    assert last["jsonPayload"]["message"] == "line 4499"
    (found,) = store.logs.entries(filter='"line 4321"', limit=10)
    assert found["jsonPayload"]["message"] == "line 4321"
    assert store.logs.names() == ["projects/p/logs/app"]


def test_requests_are_counted_by_service(store: Store):
    """An entry with an httpRequest is a request's line."""
    entry = {"httpRequest": {"status": 200}, "logName": "l"}
    store.logs.put([EntryRow(time_ns=START_NS, service="shop", entry=entry), row(1)])
    assert store.logs.counts() == {"log_entries": 2, "access_entries": 1}
    assert store.logs.access_by_service() == {"shop": 1}


def test_halves_of_surrogate_pairs_are_stored_as_question_marks(store: Store):
    """JSON can carry them, UTF-8 cannot; the entry is not lost for them."""
    store.logs.put([row(1, message="bad \ud800 text")])
    assert messages(store.logs.list()) == ["bad ? text"]


def test_a_filter_that_does_not_parse_is_told(store: Store):
    """With its column."""
    with pytest.raises(QueryError, match="column 10"):
        store.logs.list(filter="severity>")
