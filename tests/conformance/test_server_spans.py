"""The server span has the name, kind, attributes and status that OpenTelemetry's own instrumentations give it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from seen import Seen
from shops import Shop

Instrument = Callable[..., Seen]


def test_a_request_has_the_attributes_of_the_conventions(shop: Shop, instrument: Instrument):
    """All that the semantic conventions require of a server span, and no name that has been given up since."""
    seen = instrument(shop.app)
    assert shop.call("/items/1?q=x", headers={"Host": "shop.example:8443", "User-Agent": "probe/1"}) == 200
    span = seen.server()
    assert span.name == f"GET {shop.template('/items/{item_id}')}"
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    assert span.end_time > span.start_time
    found = dict(span.attributes)
    assert found.pop("client.address") in {"testclient", "127.0.0.1"}
    assert found == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": shop.template("/items/{item_id}"),
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 8443,
        "url.path": "/items/1",
        "url.query": "q=x",
        "url.scheme": "http",
        "user_agent.original": "probe/1",
    }


CASES = [
    ("GET", "/status/404", 404, "/status/{code}", StatusCode.UNSET, None),
    ("GET", "/status/503", 503, "/status/{code}", StatusCode.ERROR, "503"),
    ("GET", "/nowhere", 404, None, StatusCode.UNSET, None),
    ("GET", "/refused", 409, "/refused", StatusCode.UNSET, None),
    ("GET", "/crash", 500, "/crash", StatusCode.ERROR, "Crash"),
    ("GET", "/stream", 200, "/stream", StatusCode.UNSET, None),
    ("GET", "/later", 200, "/later", StatusCode.UNSET, None),
    ("GET", "/sub/things/1", 200, "/sub/things/{thing_id}", StatusCode.UNSET, None),
]


@pytest.mark.parametrize(
    ("method", "path", "status", "route", "outcome", "kind"), CASES, ids=[case[1] for case in CASES]
)
def test_route_status_and_outcome(
    shop: Shop, instrument: Instrument, method: str, path: str, status: int, route: Any, outcome: Any, kind: Any
):
    """The route is a template or absent; only a server's own fault is an error."""
    seen = instrument(shop.app)
    assert shop.call(path, method=method) == status
    span = seen.server()
    template = shop.template(route) if route else None
    assert span.name == (f"{method} {template}" if template else method)
    assert span.attributes.get("http.route") == template
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes.get("error.type") == kind
    assert span.status.status_code is outcome


def test_an_unhandled_exception_is_one_event(shop: Shop, instrument: Instrument):
    """With its type, message and stack, as `record_exception` makes it."""
    seen = instrument(shop.app)
    assert shop.call("/crash") == 500
    (event,) = seen.server().events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "shops.Crash"
    assert event.attributes["exception.message"] == "gone"
    assert "raise Crash" in event.attributes["exception.stacktrace"]


@pytest.mark.parametrize("path", ["/refused", "/status/503"])
def test_what_the_app_answers_itself_is_no_exception(shop: Shop, instrument: Instrument, path: str):
    """An exception that a handler or the framework turns into a response leaves no event."""
    seen = instrument(shop.app)
    shop.call(path)
    assert list(seen.server().events) == []


def test_an_unknown_method_is_other(shop: Shop, instrument: Instrument):
    """No method that a client makes up gets into a name or a label."""
    seen = instrument(shop.app)
    assert shop.call("/items/1", method="BREW") == 405
    span = seen.server()
    assert span.name.split(" ")[0] == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    assert {point.attributes["http.request.method"] for point in seen.points()} == {"_OTHER"}


@pytest.mark.parametrize(
    ("header", "status", "outcome"), [("x-deny", 401, StatusCode.UNSET), ("x-crash", 500, StatusCode.ERROR)]
)
@pytest.mark.parametrize(
    ("path", "route"),
    [("/items/1", "/items/{item_id}"), ("/sub/things/1", "/sub/things/{thing_id}"), ("/nowhere", None)],
)
def test_what_a_middleware_answers_has_its_route(
    shop: Shop, instrument: Instrument, header: str, status: int, outcome: Any, path: str, route: Any
):
    """Whoever is turned away before the handler, or crashes there, counts for the route that was asked for."""
    seen = instrument(shop.app)
    assert shop.call(path, headers={header: "1"}) == status
    span = seen.server()
    assert span.attributes.get("http.route") == (shop.template(route) if route else None)
    assert span.status.status_code is outcome


def test_a_head_request_is_complete(shop: Shop, instrument: Instrument):
    """It has no body and is no error."""
    seen = instrument(shop.app)
    status = shop.call("/later", method="HEAD")
    span = seen.server()
    assert span.attributes["http.response.status_code"] == status
    assert span.name.startswith("HEAD")
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("flags", ["01", "00"])
def test_the_callers_span_is_the_parent(shop: Shop, instrument: Instrument, flags: str):
    """`traceparent` and `tracestate` are taken over; the caller's span is remote."""
    seen = instrument(shop.app, trust_incoming_sampling=False)
    shop.call("/items/1", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-{flags}", "tracestate": "v=1"})
    if flags == "00" and not seen.all_spans():
        return  # the app's own sampler follows its caller
    span = seen.server()
    assert f"{span.context.trace_id:032x}" == "a" * 32
    assert f"{span.parent.span_id:016x}" == "b" * 16
    assert span.parent.is_remote
    assert span.context.trace_state.get("v") == "1"


@pytest.mark.parametrize(
    "value", ["", "00-" + "0" * 32 + "-" + "b" * 16 + "-01", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01", "nonsense"]
)
def test_a_broken_parent_begins_a_trace(shop: Shop, instrument: Instrument, value: str):
    """As the W3C's propagator does."""
    seen = instrument(shop.app)
    shop.call("/items/1", headers={"traceparent": value})
    assert seen.server().parent is None


@pytest.mark.parametrize("kind", [SpanKind.INTERNAL, SpanKind.SERVER])
def test_a_span_around_the_app_is_the_parent(shop: Shop, instrument: Instrument, kind: SpanKind):
    """A request inside another framework's server span is part of it, and no second server span."""
    seen = instrument(shop.app)
    with trace.get_tracer("outer").start_as_current_span("outer", kind=kind):
        shop.call("/items/1", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    spans = seen.spans()
    inner, outer = spans[f"GET {shop.template('/items/{item_id}')}"], spans["outer"]
    assert inner.parent.span_id == outer.context.span_id
    assert inner.context.trace_id == outer.context.trace_id
    assert seen.server() is (outer if kind is SpanKind.SERVER else inner)


def test_a_span_that_has_ended_is_no_parent(shop: Shop, instrument: Instrument):
    """What somebody has left current by mistake does not gather all requests in one trace."""
    seen = instrument(shop.app)
    span = trace.get_tracer("outer").start_span("outer")
    span.end()
    with trace.use_span(span):
        shop.call("/items/1")
    assert seen.server().parent is None
