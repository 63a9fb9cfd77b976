"""What the compiled module keeps of a request reads as the tuple that Python keeps, and its span is the same."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import sys
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Any

import pytest
from both_ways import END, START, App, Case, Route, Server, Way, driven, json_lines, scope_of
from opentelemetry.sdk.resources import Resource

from obskit.signals import logs
from obskit.signals.delivery import Outcome
from obskit.signals.ended import RECORDS, EndedSpans
from obskit.signals.lanes import BATCH_BYTES, BATCH_ITEMS, Lane
from obskit.signals.native import MODULE
from obskit.signals.pace import SpanBatch
from obskit.signals.redaction import Redactor
from obskit.signals.shown import Shown

pytestmark = pytest.mark.needs("native")

RESOURCE = Resource({"service.name": "shop"})
TRACE, PARENT = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with json_lines(), contextlib.redirect_stdout(io.StringIO()):
        yield
        assert logs.OUTPUT.flush(5)


def called(flags: bytes = b"01", trace: bytes = TRACE, parent: bytes = PARENT, states: bytes = b"") -> Any:
    found = [(b"host", b"shop"), (b"traceparent", b"-".join((b"00", trace, parent, flags)))]
    return lambda: scope_of(headers=found + [(b"tracestate", states)] * bool(states))


KINDS: dict[str, Case] = {
    "plain": Case(),
    "a caller": Case(scope=called()),
    "a caller that is not sampled": Case(scope=called(b"00")),
    "a caller with states": Case(scope=called(states=b"a=1")),
    "a trace that begins with noughts": Case(scope=called(trace=b"0" * 16 + b"a" * 16)),
    "a trace that ends with noughts": Case(scope=called(trace=b"a" * 16 + b"0" * 16)),
    "large ids": Case(scope=called(trace=b"f" * 32, parent=b"f" * 16)),
    "small ids": Case(scope=called(trace=b"0" * 31 + b"1", parent=b"0" * 15 + b"1")),
    "a query": Case(scope=lambda: scope_of(query_string=b"a=b&token=c")),
    "a route": Case(scope=lambda: scope_of(route=Route("/a/{b}"))),
    "a route that is not ASCII": Case(scope=lambda: scope_of(route=Route("/\u00e4/{\u4e2d}"))),
    "a path that is not ASCII": Case(scope=lambda: scope_of(path="/\u00e4\udcff")),
    "a path with a secret": Case(scope=lambda: scope_of(path="/token/" + "a" * 40)),
    "another method": Case(scope=lambda: scope_of(method="BREW")),
    "no headers": Case(scope=lambda: scope_of(headers=[])),
    "no client": Case(scope=lambda: scope_of(client=None)),
    "not found": Case(steps=(("start", 404), END)),
    "a status of an enum": Case(steps=(("start", HTTPStatus.CREATED), END)),
    "another host": Case(scope=lambda: scope_of(headers=[(b"host", b"other")])),
    "HTTP 2": Case(scope=lambda: scope_of(http_version="2", scheme="https")),
    "a trace of the app's own": Case(steps=(("state", "trace_id", "x" * 32), START, END)),
    "a trace in upper case": Case(steps=(("state", "trace_id", "A" * 32), START, END)),
    "a trace that is too short": Case(steps=(("state", "trace_id", "a" * 31), START, END)),
    "a span of noughts": Case(steps=(("state", "span_id", "0" * 16), START, END)),
    "a start of more bits": Case(steps=(("state", "start_ns", 10**30), START, END)),
    "a start before the epoch": Case(steps=(("state", "start_ns", -1), START, END)),
    "an AI call": Case(steps=(("state", "ai_calls", 2), START, END)),
}
BEGUN = [float("inf"), float("-inf"), float("nan"), -1e12, 1e12, -1e10, 1e9, -1e300]


def kept(case: Case, way: Way | None = None) -> Any:
    """Serve the case natively, a series' first request apart, and return what is kept of it."""
    way = way or Way(is_native=True)
    for each in (Case(scope=case.scope), case, case):
        server, way.app = Server(each), App(each.steps)
        assert driven(way.middleware(each.scope(), server.receive, server.send)) is None
    way.app = None
    (record, _), way.records[:] = way.records[-1], []
    way.exporter.clear()
    return record


def span_of(record: Any, *, is_native: bool) -> Any:
    made = EndedSpans(lambda: RESOURCE, 1.0, Shown(Redactor(())), is_native=is_native).maker()
    try:
        span = made(record, RESOURCE)
    except Exception as error:
        return type(error), str(error)
    attributes = list(span.attributes.items())
    parent = None if span.parent is None else (*span.parent, span.parent.trace_state.to_header())
    context = (*span.context, span.context.trace_state.to_header())
    return span.name, context, parent, attributes, span.start_time, span.end_time, list(vars(span))


def through_a_lane(items: list[Any], size_bytes: int = 1000) -> tuple[list[list[Any]], list[Any]]:
    """Return the batches that a lane sends, and what had to be made ready."""
    prepared: list[Any] = []

    def prepare(item: Any) -> Any:
        prepared.append(item)
        return item

    batches: list[list[Any]] = []

    def send(batch: Sequence[Any]) -> Outcome:
        batches.append(list(batch))
        return Outcome(delivered=len(batch))

    lane = Lane("spans", 1 << 30, prepare=prepare)
    for item in items:
        assert lane.put(item, size_bytes)
    lane.pump(send, until=float("inf"), pressed=lambda: False)
    assert (lane.sent, lane.queued, lane.waiting_bytes) == (len(items), 0, 0)
    return batches, prepared


def test_a_lane_takes_them_as_they_are() -> None:
    """In order, by as many as a batch may have, and by its bytes where they are large."""
    records = [kept(KINDS["plain"]) for _ in range(3)] * 200
    batches, prepared = through_a_lane(records)
    assert [len(batch) for batch in batches] == [BATCH_ITEMS, 600 - BATCH_ITEMS]
    assert all(ours is put for ours, put in zip(chain.from_iterable(batches), records, strict=True))
    assert prepared == []
    batches, _ = through_a_lane(records, BATCH_BYTES // 10)
    assert [len(batch) for batch in batches] == [10] * 60


def test_a_lane_makes_ready_what_is_between_them() -> None:
    """A batch with something else in it is still one batch, in order."""
    first, second = kept(KINDS["plain"]), kept(KINDS["a caller"])
    other = ("another", "item")
    batches, prepared = through_a_lane([first, other, second])
    assert [[type(item) for item in batch] for batch in batches] == [[type(first), tuple, type(second)]]
    assert batches[0][1] is other
    assert prepared == [other]


@pytest.mark.parametrize("is_hurried", [False, True])
def test_a_batch_of_them_and_of_spans(is_hurried: bool) -> None:
    """Each record becomes its span, in its place between spans that are spans already."""
    ended = EndedSpans(lambda: RESOURCE, 1.0, Shown(Redactor(())), is_native=True)
    records = [kept(KINDS[name]) for name in ("plain", "a caller", "a query")]
    whole = tuple(records[1])  # as Python keeps it
    items = [*records * 5, "span", *records, whole, "span", "span", records[0]]
    spans = list(SpanBatch(items, ended, is_hurried=is_hurried))
    assert len(spans) == len(items)
    for item, span in zip(items, spans, strict=True):
        if item == "span":
            assert span == "span"
        else:
            assert format(span.context.span_id, "016x") == item[1]
    assert list(SpanBatch(items, ended, is_hurried=is_hurried).items()) == items


def test_a_plain_request_is_kept_in_little() -> None:
    """In an object of its own, which the garbage collector does not look at."""
    record = kept(KINDS["plain"])
    assert type(record) is MODULE.Record  # type: ignore[union-attr]
    assert type(record) in RECORDS
    assert not gc.is_tracked(record)
    whole = tuple(record)
    assert sys.getsizeof(record) < sys.getsizeof(whole)


@pytest.mark.parametrize("name", KINDS)
def test_it_reads_as_a_tuple(name: str) -> None:
    """By index, slice, unpacking and iteration; of the same types."""
    record = kept(KINDS[name])
    whole = tuple(record)
    assert len(record) == len(whole) == 20
    for place in range(-20, 20):
        assert record[place] == whole[place]
        assert type(record[place]) is type(whole[place])
    for start in (None, -25, -20, -5, 0, 3, 8, 15, 19, 20, 25):
        for stop in (None, -25, -20, -5, 0, 3, 8, 15, 19, 20, 25):
            for step in (None, 1, 2, 7, -1, -3):
                assert record[start:stop:step] == whole[start:stop:step]
    first, second, *rest = record
    assert (first, second, *rest) == whole
    assert list(reversed(record)) == list(reversed(whole))
    assert whole[8] in record
    for wrong in (20, -21, 10**30, -(10**30)):
        with pytest.raises(IndexError):
            record[wrong]
    with pytest.raises(TypeError):
        record["a"]
    with pytest.raises(ValueError, match="zero"):
        record[::0]
    with pytest.raises(TypeError):
        record[0] = "a"


@pytest.mark.parametrize("name", KINDS)
def test_its_span_is_the_same(name: str) -> None:
    """Made of the record or of a tuple of it, compiled or in Python."""
    record = kept(KINDS[name])
    made = [span_of(each, is_native=is_native) for each in (record, tuple(record)) for is_native in (True, False)]
    assert made[0] == made[1] == made[2] == made[3]


@pytest.mark.parametrize("begun", BEGUN)
def test_times_beyond_all_bounds_are_the_same(begun: float) -> None:
    """Of a request whose clock somebody has set."""
    record = kept(Case(steps=(("state", "begun", begun), START, END)))
    made = [span_of(each, is_native=is_native) for each in (record, tuple(record)) for is_native in (True, False)]
    assert made[0] == made[1] == made[2] == made[3]


def test_kinds_do_not_mix() -> None:
    """Requests of a thousand kinds, in any order: each record has its own values."""
    way = Way(is_native=True)
    for number in (*range(300), *range(0, 300, 7)):
        host, status = f"h{number % 90}", 200 + number % 300
        version = ("1.1", "2")[number % 2]
        scope = scope_of(headers=[(b"host", host.encode())], route=Route(f"/r{number}"), http_version=version)
        record = kept(Case(scope=lambda scope=scope: dict(scope), steps=(("start", status), END)), way)
        assert record[8:15] == ("GET", f"/r{number}", status, "", "http", host, version)
        assert record[8:15] == tuple(record)[8:15]


def test_nobody_makes_or_changes_one() -> None:
    """It has no constructor, no fields, and no copy."""
    record = kept(KINDS["plain"])
    with pytest.raises(TypeError):
        type(record)()
    with pytest.raises(AttributeError):
        record.path = "/"
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(record)


def test_its_texts_go_with_it() -> None:
    """What it holds has as many references afterwards as before."""
    way, path = Way(is_native=True), "/" + "p" * 10
    case = Case(scope=lambda: scope_of(path=path))
    record = kept(case, way)
    assert record[15] is path
    del record
    gc.collect()
    before, blocks = sys.getrefcount(path), sys.getallocatedblocks()
    for _ in range(300):
        record = kept(case, way)
        for _ in range(10):
            tuple(record)
            record[8:15]
            record[::3]
            with contextlib.suppress(IndexError):
                record[30]
            span_of(record, is_native=True)
    del record
    gc.collect()
    assert sys.getrefcount(path) <= before + 2
    assert sys.getallocatedblocks() < blocks + 1500
