"""The compiled module makes the same spans of records as Python does, whatever a record holds."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, StatusCode

from obskit.signals import ended
from obskit.signals.ended import EndedSpans, Record
from obskit.signals.native import MODULE
from obskit.signals.redaction import Redactor
from obskit.signals.shown import Shown

pytestmark = pytest.mark.needs("native")

RESOURCE = Resource({"service.name": "shop"})
TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
PLAIN: dict[str, Any] = {
    "trace_id": TRACE,
    "span_id": SPAN,
    "is_sampled": True,
    "parent_id": PARENT,
    "is_parent_sampled": True,
    "states": "",
    "start_ns": 1_700_000_000_123_456_789,
    "elapsed_s": 0.012345678,
    "method": "GET",
    "route": "/orders/{number}",
    "status": 200,
    "kind": "",
    "scheme": "https",
    "host": "shop.example:8443",
    "protocol": "1.1",
    "path": "/orders/5",
    "query": "",
    "remote_ip": "10.0.0.7",
    "agent": "probe/1.0",
    "more": None,
}
SECRET = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def record_of(**more: Any) -> Record:
    """Return a record with these values in place of the plain ones."""
    assert set(more) <= set(PLAIN)
    return tuple({**PLAIN, **more}.values())


def spans(*, is_native: bool, ratio: float = 1.0) -> EndedSpans:
    return EndedSpans(lambda: RESOURCE, ratio, Shown(Redactor(())), is_native=is_native)


def compiled(ratio: float = 1.0) -> Callable[..., Any]:
    """Return what makes spans, having made sure that it is compiled."""
    made = spans(is_native=True, ratio=ratio).maker()
    assert type(getattr(made, "__self__", None)) is MODULE.Builder  # type: ignore[union-attr]
    return made


def context(found: Any) -> Any:
    if found is None:
        return None
    assert type(found) is SpanContext
    return (
        [(type(value), value) for value in found],
        (found.trace_id, found.span_id, found.is_remote, found.is_valid),
        (type(found.trace_flags), int(found.trace_flags), found.trace_flags.sampled),
        (type(found.trace_state), found.trace_state.to_header()),
        repr(found),
    )


def shown(span: Any) -> dict[str, Any]:
    """Return all that a span says of itself."""
    fields = dict(vars(span))
    for name in ("_context", "_parent"):
        fields[name] = context(fields[name])
    fields["_status"] = (fields["_status"].status_code, fields["_status"].description)
    fields["_attributes"] = [(key, type(value), repr(value)) for key, value in fields["_attributes"].items()]
    try:
        as_json = span.to_json()
    except Exception as error:  # the SDK's own, of times that are none
        as_json = repr(error)
    return {
        "type": type(span),
        "vars": {name: (type(value), value) for name, value in fields.items()},
        "order": list(vars(span)),
        "name": (type(span.name), span.name),
        "context": context(span.context),
        "get_span_context": context(span.get_span_context()),
        "parent": context(span.parent),
        "resource": id(span.resource),
        "attributes": (type(span.attributes), repr(dict(span.attributes))),
        "kind": span.kind,
        "status": (type(span.status), span.status.status_code, span.status.description, span.status.is_ok),
        "times": (type(span.start_time), span.start_time, type(span.end_time), span.end_time),
        "scope": id(span.instrumentation_scope),
        "events": (type(span.events), list(span.events)),
        "links": (type(span.links), list(span.links)),
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "json": as_json,
    }


def outcome(made: Callable[..., Any], record: Any, resource: Any) -> Any:
    """Return what the span says, or the exception."""
    try:
        span = made(record, resource)
    except Exception as error:
        return type(error), str(error)
    return shown(span)


def alike(record: Any, resource: Any = RESOURCE, *, ratio: float = 1.0) -> Any:
    """Make the span in both ways, twice, and fail where they differ; return what it says."""
    ours, reference = compiled(ratio), spans(is_native=False, ratio=ratio).maker()
    found = outcome(reference, record, resource)
    for _ in range(2):
        assert outcome(ours, record, resource) == found
        assert outcome(reference, record, resource) == found
    return found


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Part(float):
    pass


class Pairs(dict[str, Any]):
    pass


RECORDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unsampled": {"is_sampled": False},
    "a parent that is not sampled": {"is_parent_sampled": False},
    "neither is sampled": {"is_sampled": False, "is_parent_sampled": False},
    "a root": {"parent_id": "", "is_parent_sampled": False},
    "an unsampled root": {"parent_id": "", "is_sampled": False},
    "a root whose parent is sampled": {"parent_id": "", "is_parent_sampled": True},
    "a root with states": {"parent_id": "", "states": "a=1"},
    "states": {"states": "vendor=1,other=2"},
    "odd states": {"states": "\u00e4,,=,a="},
    "long states": {"states": "a=" + "1" * 600},
    "more": {"more": {"user.id": "u-1", "cart": 'c"\udcff', "count": 3, "share": 0.5, "list": ("a", "b")}},
    "more than there was": {"more": {"url.path": "/mine", "http.route": None, "client.address": 5}},
    "no more": {"more": {}},
    "more of another kind": {"more": MappingProxyType({"user.id": "u-1"})},
    "more in a dict of somebody's": {"more": Pairs(a="b")},
    "more with a key of somebody's": {"more": {Text("url.path"): "/mine", 5: 6}},
    "more that is none": {"more": 5},
    "more that is a list": {"more": [("a", "b")]},
    "a query": {"query": "a=b&token=abc"},
    "a query with a secret": {"query": f"jwt={SECRET}"},
    "a long query": {"query": "a=" + "b" * 5000},
    "a query that is no UTF-8": {"query": "a=\udcff\u00e4\U0001f600"},
    "a path with a secret": {"path": f"/token/{SECRET}"},
    "a long path": {"path": "/" + "/".join(["abc"] * 30)},
    "a long part of a path": {"path": "/" + "a" * 13},
    "the longest plain part of a path": {"path": "/" + "a" * 12},
    "twenty parts": {"path": "/a" * 20},
    "twenty-one parts": {"path": "/a" * 21},
    "twenty empty parts": {"path": "/" * 20},
    "a path with a mark": {"path": "/a?b=c"},
    "a path with a quote": {"path": '/a"b'},
    "a path with a line break": {"path": "/a\n"},
    "a path with a nought": {"path": "/a\0"},
    "a path that is not ASCII": {"path": "/\u00e4/\u4e2d/\U0001f600"},
    "a path that is no UTF-8": {"path": "/\udcff"},
    "an empty path": {"path": ""},
    "a path without a slash": {"path": "a/b"},
    "a very long path": {"path": "/" + "x" * 5000},
    "no address": {"remote_ip": ""},
    "no agent": {"agent": ""},
    "neither address nor agent": {"remote_ip": "", "agent": ""},
    "an odd address": {"remote_ip": "\u00e4\udcff"},
    "an agent that is not ASCII": {"agent": "\u00e4/1 \u4e2d"},
    "an agent that is no UTF-8": {"agent": "x\udcff"},
    "an agent with a secret": {"agent": f"probe Bearer {SECRET}"},
    "a long agent": {"agent": "a b " * 300},
    "no route": {"route": ""},
    "a route that is not ASCII": {"route": "/\u00e4/{\u4e2d}"},
    "a route that is no UTF-8": {"route": "/\udcff"},
    "another method": {"method": "BREW"},
    "a method that is not ASCII": {"method": "G\u00c4T"},
    "no host": {"host": ""},
    "a host with a user": {"host": "me:pass@shop"},
    "a host that is not ASCII": {"host": "\u00e4:80"},
    "a host of six": {"host": "[::1]:8000"},
    "HTTP": {"scheme": "http"},
    "a WebSocket": {"scheme": "ws", "protocol": "websocket", "status": 101},
    "no protocol": {"protocol": ""},
    "HTTP 2": {"protocol": "2"},
    "not found": {"status": 404},
    "failed": {"status": 500, "kind": "500"},
    "raised": {"status": 500, "kind": "ValueError"},
    "gone": {"status": 499, "kind": "client_disconnected"},
    "no status": {"status": 0, "kind": "incomplete_response"},
    "a status of an enum": {"status": HTTPStatus.CREATED},
    "a status that is true": {"status": True},
    "a status of text": {"status": "200"},
    "no time": {"elapsed_s": 0.0},
    "less than no time": {"elapsed_s": -0.0},
    "before the start": {"elapsed_s": -1.0},
    "not a number": {"elapsed_s": float("nan")},
    "for ever": {"elapsed_s": float("inf")},
    "always": {"elapsed_s": float("-inf")},
    "the least time": {"elapsed_s": 5e-324},
    "nearly thirty years": {"elapsed_s": 999_999_999.999},
    "thirty years": {"elapsed_s": 1e9},
    "longer than 64 bits": {"elapsed_s": 1e18},
    "the most time": {"elapsed_s": sys.float_info.max},
    "a whole second": {"elapsed_s": 1},
    "a time of somebody's": {"elapsed_s": Part(0.5)},
    "a time of text": {"elapsed_s": "1"},
    "rounded down": {"elapsed_s": 0.29},
    "the epoch": {"start_ns": 0},
    "before the epoch": {"start_ns": -5},
    "a start of 64 bits": {"start_ns": 2**63 - 1},
    "a start of more bits": {"start_ns": 10**40},
    "a start of less bits": {"start_ns": -(10**40)},
    "a start that is true": {"start_ns": True},
    "a start of somebody's": {"start_ns": Whole(7)},
    "a start with a point": {"start_ns": 1.5},
    "no start": {"start_ns": None},
    "flags that are numbers": {"is_sampled": 1, "is_parent_sampled": 0},
    "flags that are None": {"is_sampled": None, "is_parent_sampled": None},
    "flags of text": {"is_sampled": "no", "is_parent_sampled": "no"},
    "all digits": {"trace_id": "f" * 32, "span_id": "f" * 16, "parent_id": "f" * 16},
    "the least ids": {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1", "parent_id": "0" * 15 + "1"},
    "a list in its kind": {"route": []},
    **{f"{name} of somebody's": {name: Text(PLAIN[name])} for name in PLAIN if type(PLAIN[name]) is str},
    **{f"{name} that is None": {name: None} for name in PLAIN},
    **{f"{name} of bytes": {name: b"x"} for name in PLAIN},
}
IDS = {
    "upper case": lambda size: ("AbCdEf" * 6)[:size],
    "noughts": lambda size: "0" * size,
    "no hex": lambda size: "g" * size,
    "one that is no hex": lambda size: "a" * (size - 1) + "x",
    "a first that is no hex": lambda size: "z" + "a" * (size - 1),
    "not ASCII": lambda size: "\u00e4" * size,
    "digits of another script": lambda size: "\u0661" * size,
    "no UTF-8": lambda size: "a" * (size - 1) + "\udcff",
    "a prefix": lambda size: "0x" + "a" * (size - 2),
    "a sign": lambda size: "-" + "a" * (size - 1),
    "a plus": lambda size: "+" + "a" * (size - 1),
    "underscores": lambda size: "a_" * (size // 2 - 1) + "ab",
    "an underscore at the end": lambda size: "a" * (size - 1) + "_",
    "blanks around": lambda size: " " + "a" * (size - 2) + "\n",
    "blanks": lambda size: " " * size,
    "a nought in it": lambda size: "a" * (size - 2) + "\0a",
    "a nought at the end": lambda size: "a" * (size - 1) + "\0",
    "short": lambda size: "a" * (size - 1),
    "long": lambda size: "a" * (size + 1),
    "very long": lambda size: "a" * 64,
    "one sign": lambda _: "a",
    "empty": lambda _: "",
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_span_is_the_same(name: str) -> None:
    """Each field, its type, and the attributes' order; or the same exception."""
    alike(record_of(**RECORDS[name]))


@pytest.mark.parametrize("parent", ["a parent", "none"])
@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(("part", "size"), [("trace_id", 32), ("span_id", 16), ("parent_id", 16)])
def test_an_id_is_the_same(part: str, size: int, name: str, parent: str) -> None:
    """However it is written; or the same exception."""
    values = {"parent_id": PARENT if parent == "a parent" else "", part: IDS[name](size)}
    alike(record_of(**values))


def test_a_plain_span_is_as_expected() -> None:
    """The ids are the numbers that their digits stand for, the times whole nanoseconds."""
    span = compiled()(record_of(status=500, kind="ValueError"), RESOURCE)
    assert span.name == "GET /orders/{number}"
    assert (span.context.trace_id, span.context.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (int(TRACE, 16), int(PARENT, 16), True)
    assert (span.start_time, span.end_time) == (PLAIN["start_ns"], PLAIN["start_ns"] + 12_345_678)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    assert span.resource is RESOURCE


@pytest.mark.parametrize("ratio", [0.25, 1.0])
def test_the_share_is_the_same(ratio: float) -> None:
    """Where not all requests are sampled, each span says how many it stands for."""
    found = alike(record_of(), ratio=ratio)
    assert ("0.25" in str(found["vars"]["_attributes"])) is (ratio < 1)


class Named(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize(
    "record",
    [
        (),
        ("a",),
        record_of()[:19],
        (*record_of(), None),
        list(record_of()),
        type("Other", (tuple,), {})(record_of()),
        None,
        5,
        TRACE,
        {},
        Named("a", "b"),
    ],
    ids=lambda record: f"{type(record).__name__}-{len(str(record))}",
)
def test_what_is_no_record_is_the_same(record: Any) -> None:
    """Too short, too long, or not a tuple: Python's exception, or its span."""
    alike(record)


@pytest.mark.parametrize("size", [1, 8, 20])
def test_a_record_of_a_call_makes_its_own_span(size: int) -> None:
    """What it begins with is called, with the record and the resource; what that raises goes on."""
    given_to: list[Any] = []

    def make(*args: Any) -> str:
        given_to.append(args)
        return "made"

    record = (make, *record_of()[1:size])
    assert compiled()(record, RESOURCE) == "made"
    assert given_to == [(record, RESOURCE)]
    with pytest.raises(ZeroDivisionError):
        compiled()((lambda *_: 1 / 0, *record_of()[1:size]), RESOURCE)


def test_wrong_arguments_are_said() -> None:
    """None, one, three, or by name."""
    made = compiled()
    for args in ((), (record_of(),), (record_of(), RESOURCE, 1)):
        with pytest.raises(TypeError):
            made(*args)
    with pytest.raises(TypeError):
        made(record=record_of(), resource=RESOURCE)


def test_a_builder_is_made_of_all_its_parts() -> None:
    """By name, and of the right types."""
    make = MODULE.Builder  # type: ignore[union-attr]
    whole: dict[str, Any] = {
        "slow": print,
        "alike": lambda *_: ({}, {}),
        "add_own": print,
        "shown_agent": str,
        "span_type": sdk.ReadableSpan,
        "context_type": SpanContext,
        "names": ("a", "b", "c", "d", "e"),
        "flags": (1, 2, 3, 4),
        "no_states": None,
    }
    assert vars(make(**whole).built(record_of(), RESOURCE))["d"] == PLAIN["start_ns"]
    wrong = [
        {"span_type": 5},
        {"context_type": int},
        {"context_type": ()},
        {"names": ("a",)},
        {"names": list("abcde")},
        {"flags": (1,)},
        {"flags": [1, 2, 3, 4]},
        {"other": 1},
    ]
    for each in wrong:
        with pytest.raises(TypeError):
            make(**{**whole, **each})
    for name in whole:
        with pytest.raises(TypeError):
            make(**{key: value for key, value in whole.items() if key != name})
    with pytest.raises(TypeError):
        make(*whole.values())
    for found in (None, (), ({},), ({}, None), [{}, {}], ({}, {}, {})):
        with pytest.raises(TypeError):
            make(**{**whole, "alike": lambda *_, found=found: found}).built(record_of(), RESOURCE)
    for name, error in (("names", ([], "b", "c", "d", "e")), ("names", ("a", "b", "c", "d", []))):
        with pytest.raises(TypeError):
            make(**{**whole, name: error}).built(record_of(), RESOURCE)
    with pytest.raises(AttributeError):
        make(**{**whole, "span_type": object}).built(record_of(), RESOURCE)


@pytest.mark.parametrize("part", ["alike", "add_own", "shown_agent", "slow"])
def test_what_a_part_raises_goes_on(part: str) -> None:
    """And the next record is made as if nothing had been."""
    is_broken = True
    own = spans(is_native=False)
    calls: dict[str, Any] = {
        "alike": own._alike,
        "add_own": own.add_own,
        "shown_agent": own._shown.agent,
        "slow": own.built,
    }
    working = calls[part]

    def breaking(*args: Any) -> Any:
        if is_broken:
            raise ZeroDivisionError
        return working(*args)

    builder = MODULE.Builder(  # type: ignore[union-attr]
        **{**calls, part: breaking},
        span_type=sdk.ReadableSpan,
        context_type=SpanContext,
        names=("_context", "_parent", "_attributes", "_start_time", "_end_time"),
        flags=(ended._SAMPLED, ended._UNSAMPLED, ended._SAMPLED_ROOT, ended._UNSAMPLED_ROOT),
        no_states=ended.NO_STATES,
    )
    more: dict[str, Any] = {"add_own": {"query": "a=b"}, "slow": {"states": "a=1"}}.get(part, {})
    record = record_of(**more)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            builder.built(record, RESOURCE)
    is_broken = False
    assert shown(builder.built(record, RESOURCE)) == shown(own.built(record, RESOURCE))


def test_another_resource_is_taken_at_once() -> None:
    """Each span has the resource that it is made with, however often that changes."""
    made, reference = compiled(), spans(is_native=False).maker()
    resources = [RESOURCE, Resource({"service.name": "shop"}), Resource({"service.name": "other"}), RESOURCE]
    for resource in resources * 3:
        for record in (record_of(), record_of(status=404), record_of(parent_id="")):
            span = made(record, resource)
            assert span.resource is resource
            assert shown(span) == shown(reference(record, resource))


def test_more_kinds_than_it_keeps() -> None:
    """After 5,000 kinds, each several times, spans still are of their own kind."""
    made, reference = compiled(), spans(is_native=False).maker()
    for number in (*range(5000), *range(0, 5000, 50)):
        record = record_of(route=f"/r{number}", agent=f"probe/{number}", status=200 + number % 300)
        for _ in range(2):
            span = made(record, RESOURCE)
        assert span.name == f"GET /r{number}"
        assert span.attributes["http.route"] == f"/r{number}"
        assert span.attributes["user_agent.original"] == f"probe/{number}"
        assert span.attributes["http.response.status_code"] == record[10]
        if number % 500 == 0:
            assert shown(span) == shown(reference(record, RESOURCE))


def test_spans_of_a_kind_share_nothing_that_changes() -> None:
    """What is done to one, or to its attributes, its fields or its record's dict, no other one shows."""
    made = compiled()
    more = {"user.id": "u-1"}
    record = record_of(more=more)
    first, second = made(record, RESOURCE), made(record, RESOURCE)
    before = shown(second)
    assert vars(first) is not vars(second)
    assert first._attributes is not second._attributes
    assert first._attributes is not more
    first._attributes.clear()
    first._attributes["mine"] = 1
    vars(first).pop("_status")
    vars(first)["_name"] = "mine"
    first.other = 5
    more["user.id"] = "u-2"
    more["late"] = "x"
    assert shown(second) == before
    vars(second).clear()
    third = made(record_of(more={"user.id": "u-1"}), RESOURCE)
    assert shown(third) == before


def test_a_span_can_be_copied_as_pythons() -> None:
    """By `copy` and `pickle`, its context too."""
    ours, reference = compiled()(record_of(), RESOURCE), spans(is_native=False).built(record_of(), RESOURCE)
    assert shown(copy.copy(ours)) == shown(copy.copy(reference))
    for span in (ours, reference):
        again = pickle.loads(pickle.dumps(span.context))
        assert context(again) == context(span.context)
    assert ours.context == reference.context


# --------------------------------------------------------------------------- another SDK


class _Bound(sdk.ReadableSpan):
    """Keeps its attributes in something of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._attributes = MappingProxyType(dict(self._attributes)) if type(self._attributes) is dict else {}


class _Slotted(sdk.ReadableSpan):
    """Has its context in a slot."""

    __slots__ = ("_context",)


class _Renamed(sdk.ReadableSpan):
    """Has one thing twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._end = self._end_time


class _Made(sdk.ReadableSpan):
    """Is made by a method of its own."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return super().__new__(cls)


class _Looking(sdk.ReadableSpan):
    """Looks at what it is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trace_id = args[1].trace_id


class _Bare:
    """Has no dict."""

    __slots__ = ("values",)

    def __init__(self, *values: Any) -> None:
        self.values = values


class _Shorter(sdk.ReadableSpan):
    """Keeps its times in other units."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._start_time, self._end_time = (int(each or 0) // 1000 for each in (self._start_time, self._end_time))


@pytest.mark.parametrize("kind", [_Bound, _Slotted, _Renamed, _Made, _Looking, _Bare, _Shorter])
def test_an_sdk_whose_spans_are_others_is_left_to_python(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a few fields in a dict, each once and as it was given, is made by its constructor."""
    monkeypatch.setattr(sdk, "ReadableSpan", kind)
    own = spans(is_native=True)
    for _ in range(2):
        assert own.maker() == own.built
    assert type(own.maker()(record_of(), RESOURCE)) is kind


class _Stamped(sdk.ReadableSpan):
    """Counts itself, in its dict."""

    count = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _Stamped.count += 1
        self._number = _Stamped.count


class _Beside(sdk.ReadableSpan):
    """Has a slot beside its dict."""

    __slots__ = ("_beside",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beside = "here"


class _Derived(sdk.ReadableSpan):
    """Has something in its dict that comes of another field, where there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_root = self._parent is None


@pytest.mark.parametrize("name", ["_number", "_beside", "_is_root"])
def test_what_a_constructor_adds_is_added(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that another SDK's constructor makes for each span is that span's, in either way."""
    kind = {"_number": _Stamped, "_beside": _Beside, "_is_root": _Derived}[name]
    monkeypatch.setattr(sdk, "ReadableSpan", kind)
    found = []
    for is_native in (True, False):
        made = spans(is_native=is_native).maker()
        pair = [made(record, RESOURCE) for record in (record_of(), record_of(), record_of(parent_id=""))]
        values = [getattr(each, name, "missing") for each in pair]
        found.append(len(set(values)) if name == "_number" else values)
    assert found[0] == found[1]


def test_contexts_of_another_sdk_are_left_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a context is not the tuple that it is here, its constructor makes it."""
    monkeypatch.setattr(ended, "new_context", ended._checked)
    own = spans(is_native=True)
    assert own.maker() == own.built


def test_it_is_asked_for_once() -> None:
    """Later calls give the same builder; without the compiled module's leave they give Python's."""
    own = spans(is_native=True)
    assert own.maker() == own.maker()
    own = spans(is_native=False)
    assert own.maker() == own.built


# --------------------------------------------------------------------------- memory and threads

MANY = [
    record_of(),
    record_of(parent_id="", is_sampled=False),
    record_of(states="a=1"),
    record_of(query="a=b", path=f"/token/{SECRET}"),
    record_of(more={"user.id": "u-1"}),
    record_of(status=500, kind="ValueError", agent="", remote_ip=""),
    record_of(trace_id="A" * 32),
    (lambda record, resource: (record, resource),),
]
WRONG = [
    record_of(trace_id="g" * 32),
    record_of(span_id="g" * 16),
    record_of(parent_id="g" * 16),
    record_of(trace_id="g" * 32, parent_id=""),
    record_of(elapsed_s=float("nan")),
    record_of(route=[]),
    record_of(more=5),
    (),
]


def build(made: Callable[..., Any], resource: Any) -> None:
    for record in MANY:
        made(record, resource)
    for record in WRONG:
        try:
            made(record, resource)
        except Exception:
            continue
        raise AssertionError(record)


def test_nothing_stays_behind() -> None:
    """After 20,000 spans of all kinds, and as many failures, there are as many objects and blocks as before."""
    made, resources = compiled(), (RESOURCE, Resource({"service.name": "other"}))

    def census() -> tuple[Counter[str], int]:
        gc.collect()
        return Counter(type(each).__name__ for each in gc.get_objects()), sys.getallocatedblocks()

    for _ in range(100):
        for resource in resources:
            build(made, resource)
    (before, blocks) = census()
    for _ in range(1250):
        for resource in resources:
            build(made, resource)
    (after, blocks_after) = census()
    for name in ("ReadableSpan", "SpanContext", "dict", "tuple", "list", "Status"):
        assert after[name] <= before[name] + 10, name
    assert blocks_after <= blocks + 500

    tracemalloc.start()
    try:
        for _ in range(20):
            build(made, RESOURCE)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            build(made, RESOURCE)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < size + 50_000
    finally:
        tracemalloc.stop()


def test_shared_objects_are_neither_lost_nor_gained() -> None:
    """The reference counts of constants, types, and what records hold do not drift."""
    made = compiled()
    shared = [
        None,
        True,
        False,
        "",
        *MANY,
        *MANY[0],
        RESOURCE,
        sdk.ReadableSpan,
        SpanContext,
        ended.NO_STATES,
        ended._SAMPLED,
    ]
    shared += [
        ended._UNSAMPLED,
        ended._SAMPLED_ROOT,
        ended._UNSAMPLED_ROOT,
        ended.scope(),
        ended.KIND,
        "url.path",
        made,
    ]
    for _ in range(10):
        build(made, RESOURCE)
    gc.collect()
    before = [sys.getrefcount(each) for each in shared]
    for _ in range(1000):
        build(made, RESOURCE)
    gc.collect()
    after = [sys.getrefcount(each) for each in shared]
    for each, was, now in zip(shared, before, after, strict=True):
        assert abs(now - was) < 100, each


def test_the_garbage_collector_finds_it() -> None:
    """A builder and the spans that it has made go with what they belong to, in a cycle too."""
    counted = object()
    before = sys.getrefcount(counted)
    for _ in range(5):
        own: Any = spans(is_native=True)
        own.counted = counted
        span = own.maker()(record_of(more={"own": own}), RESOURCE)
        span.own = span
    del own, span
    gc.collect()
    assert sys.getrefcount(counted) == before


def test_threads_make_spans_at_once() -> None:
    """Of many kinds, with several resources: each has its own values."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    made, resources = compiled(), [Resource({"service.name": str(number)}) for number in range(4)]
    wrong: list[Any] = []

    def making(number: int) -> None:
        resource = resources[number]
        for turn in range(3000):
            record = record_of(
                route=f"/{turn % 50}", start_ns=turn, agent=f"a/{turn % 70}", method=("GET", "POST")[turn % 2]
            )
            span = made(record, resource)
            found = (span.resource, span.name, span.start_time, span.attributes["user_agent.original"])
            if found != (resource, f"{record[8]} /{turn % 50}", turn, f"a/{turn % 70}"):
                wrong.append(found)

    threads = [threading.Thread(target=making, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    sys.setswitchinterval(before)
    assert wrong == []


# --------------------------------------------------------------------------- drawn

TEXTS = st.text(st.characters(), max_size=30)
DIGITS = st.text("0123456789abcdef", min_size=16, max_size=16)
ASCII = st.characters(max_codepoint=127)


@settings(max_examples=300, deadline=None)
@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            "trace_id": st.one_of(st.tuples(DIGITS, DIGITS).map("".join), st.text(ASCII, min_size=32, max_size=32)),
            "span_id": st.one_of(DIGITS, st.text(ASCII, min_size=16, max_size=16)),
            "parent_id": st.one_of(st.just(""), DIGITS, TEXTS),
            "is_sampled": st.booleans(),
            "is_parent_sampled": st.booleans(),
            "states": st.one_of(st.just(""), TEXTS),
            "start_ns": st.integers(),
            "elapsed_s": st.one_of(st.floats(0, 100), st.floats()),
            "method": st.sampled_from(["GET", "POST", "BREW"]),
            "route": TEXTS,
            "status": st.integers(0, 700),
            "kind": TEXTS,
            "scheme": st.sampled_from(["http", "https", "ws"]),
            "host": TEXTS,
            "protocol": TEXTS,
            "path": st.one_of(st.from_regex(r"(/[\w.~-]{0,13}){0,21}", fullmatch=True), TEXTS),
            "query": st.one_of(st.just(""), TEXTS),
            "remote_ip": TEXTS,
            "agent": TEXTS,
            "more": st.one_of(st.none(), st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.booleans()))),
        },
    )
)  # fmt: skip
def test_drawn_records_are_alike(values: dict[str, Any]) -> None:
    """For any values of a record both ways make the same span, or raise the same."""
    alike(record_of(**values))
