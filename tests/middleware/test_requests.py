"""One suite over FastAPI, Starlette and Flask, with the same expectations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from observations import Observations
from opentelemetry.trace import StatusCode
from services import Service

TRACE = "0af7651916cd43dd8448eb211c80319c"


def only(things: list[Any]) -> Any:
    assert len(things) == 1, things
    return things[0]


@pytest.mark.parametrize("kind", ["items", "sync"])
def test_a_request_is_one_span_one_duration_one_line(service: Service, observed: Observations, kind: str) -> None:
    """A request gives exactly one server span, one histogram record and one log line, with the same ids and route."""
    assert service.call("GET", f"/{kind}/7?q=a").status == 200
    route = service.item.replace("items", kind)
    span = only(observed.server_spans())
    assert span.name == f"GET {route}"
    assert span.attributes["http.route"] == route
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["url.path"] == f"/{kind}/7"
    assert span.attributes["url.query"] == "q=a"
    assert span.attributes["user.id"] == "u-1"
    assert span.status.status_code is StatusCode.UNSET
    point = only(observed.points())
    assert (point.count, dict(point.attributes)) == (
        1,
        {"http.request.method": "GET", "url.scheme": "http", "http.response.status_code": 200, "http.route": route},
    )
    line = only(observed.access_lines())
    assert line["trace_id"] == f"{span.context.trace_id:032x}"
    assert line["logging.googleapis.com/trace"] == f"projects/p/traces/{line['trace_id']}"
    assert line["logging.googleapis.com/spanId"] == f"{span.context.span_id:016x}"
    assert line["logging.googleapis.com/trace_sampled"] is True
    assert observed.errors() == []


def test_the_line_has_the_fields_that_were_asked_for(service: Service, observed: Observations) -> None:
    """The request's line carries every field of the requirements, beside Cloud Logging's own."""
    service.call("GET", "/items/7", {"User-Agent": "me/1", "Referer": "http://here/"})
    line = only(observed.access_lines())
    assert line["severity"] == "INFO"
    assert line["timestamp"] == line["time"]
    assert (line["service"], line["user_id"], line["session_id"]) == ("shop", "u-1", "s-1")
    assert (line["user_tier"], line["cart"]) == ("free", "c-9")
    assert line["endpoint"] == service.item
    assert 0 < line["latency_ms"] < 10_000
    assert line["gemini_tokens"] == {"input": 0, "output": 0}
    http = line["httpRequest"]
    assert (http["requestMethod"], http["status"], http["userAgent"]) == ("GET", 200, "me/1")
    assert http["referer"] == "http://here/"
    assert http["requestUrl"].endswith("/items/7")
    assert http["latency"].endswith("s")


def test_lines_and_spans_within_a_request_are_in_its_trace(service: Service, observed: Observations) -> None:
    """What the app logs and traces inside a request carries the request's trace, user and session."""
    service.call("GET", "/items/7")
    server = only(observed.server_spans())
    inner = only([span for span in observed.spans() if span.name == "look up"])
    assert inner.parent.span_id == server.context.span_id
    said = only([line for line in observed.lines() if line["message"] == "looked up"])
    assert said["trace_id"] == f"{server.context.trace_id:032x}"
    assert said["logging.googleapis.com/spanId"] == f"{inner.context.span_id:016x}"
    assert (said["user_id"], said["item"]) == ("u-1", 7)


@pytest.mark.parametrize("path", ["/boom", "/sub/boom"])
def test_an_unhandled_exception_is_reported_once(service: Service, observed: Observations, path: str) -> None:
    """An exception that leaves the app fails the span and makes one report, with the request, without secrets."""
    assert service.call("GET", path).status == 500
    span = only(observed.server_spans())
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    assert span.attributes["http.response.status_code"] == 500
    assert span.attributes["http.route"] == path
    assert only(list(span.events)).attributes["exception.type"] == "ValueError"
    report = only(observed.errors())
    assert (report.type, report.service) == ("ValueError", "shop")
    assert (report.http["method"], report.http["status"]) == ("GET", 500)
    assert report.http["url"].endswith(path)
    assert report.trace_id == f"{span.context.trace_id:032x}"
    assert report.location.function == "boom"
    assert only(observed.points()).attributes["error.type"] == "ValueError"
    line = only(observed.access_lines())
    assert (line["severity"], line["error_type"]) == ("ERROR", "ValueError")
    assert "hunter2" not in observed.text() + repr(report) + repr([event.attributes for event in span.events])


def test_a_handled_exception_is_no_crash(service: Service, observed: Observations) -> None:
    """A 500 that the app's own handler makes counts as an error of the service, and is not reported as a crash."""
    assert service.call("GET", "/refused").status == 500
    span = only(observed.server_spans())
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "500"
    assert only(observed.points()).attributes["error.type"] == "500"
    assert observed.errors() == []


def test_a_span_covers_a_streamed_body(service: Service, observed: Observations) -> None:
    """The server span ends with the last piece of the body, and what makes the pieces is inside it."""
    assert service.call("GET", "/stream").body == b"0\n1\n2\n"
    server = only(observed.server_spans())
    pieces = [span for span in observed.spans() if span.name.startswith("chunk")]
    assert len(pieces) == 3
    for piece in pieces:
        assert piece.parent.span_id == server.context.span_id
        assert piece.end_time <= server.end_time
    assert only(observed.access_lines())["httpRequest"]["responseSize"] == "6"


def test_a_stream_that_breaks_is_an_error(service: Service, observed: Observations) -> None:
    """An exception in mid-stream, after a 200 has gone out, fails the span and is reported once."""
    service.call("GET", "/broken")
    span = only(observed.server_spans())
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes["error.type"], span.attributes["http.response.status_code"]) == ("ValueError", 200)
    assert only(observed.errors()).message == "broken in the middle"
    assert only(observed.access_lines())["severity"] == "ERROR"


def test_a_client_that_leaves_is_no_success_and_no_crash(service: Service, observed: Observations) -> None:
    """A client that goes away in mid-stream gives one span, marked, without an error report."""
    service.abandon("/stream")
    span = only(observed.server_spans())
    assert span.attributes["error.type"] == "client_disconnected"
    assert only(observed.points()).attributes["error.type"] == "client_disconnected"
    line = only(observed.access_lines())
    assert (line["cancelled"], line["severity"]) == (True, "WARNING")
    assert observed.errors() == []


def test_work_after_the_response_is_in_the_trace_but_not_in_the_duration(
    service: Service, observed: Observations
) -> None:
    """A background task keeps the trace, and the server span ends with the response's body before it."""
    assert service.call("GET", "/task").status == 200
    server = only(observed.server_spans())
    task = only([span for span in observed.spans() if span.name == "after the response"])
    assert task.context.trace_id == server.context.trace_id
    assert server.end_time <= task.end_time
    said = only([line for line in observed.lines() if line["message"] == "after the response"])
    assert said["trace_id"] == f"{server.context.trace_id:032x}"


@pytest.mark.parametrize("kind", ["nested", "mounted"])
def test_a_nested_route_has_its_full_template(service: Service, observed: Observations, kind: str) -> None:
    """Routers, blueprints and mounted apps give one server span with the whole route, parameters as a template."""
    template = getattr(service, kind)
    path = "/api/orders/o-17" if kind == "nested" else "/sub/things/t-17"
    for number in range(2):
        assert service.call("GET", f"{path}{number}").status == 200
    assert [span.attributes["http.route"] for span in observed.server_spans()] == [template] * 2
    assert only(observed.points()).attributes["http.route"] == template
    assert {line["endpoint"] for line in observed.access_lines()} == {template}


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere/1"), ("POST", "/nowhere/2"), ("OPTIONS", "/nowhere")])
def test_an_unknown_path_never_becomes_a_label(
    service: Service, observed: Observations, method: str, path: str
) -> None:
    """A request that no route matched has no route, neither on the span nor as a label, and its span no path."""
    assert service.call(method, path).status == 404
    span = only(observed.server_spans())
    assert span.name == method
    assert "http.route" not in span.attributes
    assert "http.route" not in only(observed.points()).attributes
    assert only(observed.access_lines())["endpoint"] == ""


def test_head_and_unsupported_methods_are_recorded(service: Service, observed: Observations) -> None:
    """HEAD and a method that a route does not take are one record each, under no raw path."""
    head = service.call("HEAD", "/stream")
    assert head.body == b""
    assert service.call("DELETE", "/items/7").status == 405
    spans = observed.server_spans()
    assert [span.attributes["http.request.method"] for span in spans] == ["HEAD", "DELETE"]
    assert all("/7" not in span.name for span in spans)
    assert "error.type" not in spans[0].attributes
    assert len(observed.access_lines()) == 2


def test_made_up_methods_share_one_label(service: Service, observed: Observations) -> None:
    """A method that does not exist is `_OTHER` as a label, and its span is called HTTP."""
    for number in range(20):
        service.call(f"MADEUP{number}", "/items/7")
    assert {point.attributes["http.request.method"] for point in observed.points()} == {"_OTHER"}
    assert {span.name.partition(" ")[0] for span in observed.server_spans()} == {"HTTP"}


def test_the_callers_trace_goes_on(service: Service, observed: Observations) -> None:
    """`traceparent` and its `tracestate` are taken up as the parent of the server span."""
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=b"}
    service.call("GET", "/items/7", headers)
    span = only(observed.server_spans())
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.context.trace_state.get("a") == "b"


def test_the_load_balancers_header_is_second(service: Service, observed: Observations) -> None:
    """`X-Cloud-Trace-Context` counts where there is no usable `traceparent`; its span id is decimal."""
    service.call("GET", "/items/7", {"traceparent": "rubbish", "X-Cloud-Trace-Context": f"{TRACE}/255;o=1"})
    span = only(observed.server_spans())
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.parent.span_id == 255


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"},
        {"traceparent": f"ff-{TRACE}-b7ad6b7169203331-01"},
        {"traceparent": f"00-{TRACE.upper()}-b7ad6b7169203331-01"},
        {"traceparent": "00-" * 20_000},
        {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "=,;=" * 10_000},
        {"X-Cloud-Trace-Context": f"{TRACE}/{'9' * 400};o=1"},
        {"X-Cloud-Trace-Context": ";;;///"},
        {"baggage": "a=" + "b" * 60_000, "User-Agent": "x" * 60_000},
    ],
)
def test_hostile_headers_are_harmless(service: Service, observed: Observations, headers: dict[str, str]) -> None:
    """Malformed and huge headers change nothing for the app, and the line stays short."""
    assert service.call("GET", "/items/7", headers).status == 200
    assert only(observed.server_spans()).context.is_valid
    assert max(len(line) for line in observed.text().splitlines()) < 8_000


def test_secrets_in_urls_and_headers_stay_inside(service: Service, observed: Observations) -> None:
    """Keys, tokens and addresses in the query, the path and the user agent are in no span and no line."""
    key, mail = "AIza" + "S" * 35, "someone@example.com"
    service.call(
        "GET",
        f"/nowhere/{mail}?key={key}&access_token=abcdef123&q=4111111111111111&mail=a%40b.com",
        {"User-Agent": f"agent {key}", "Authorization": "Bearer verysecrettoken", "Cookie": "sid=topsecret"},
    )
    seen = observed.text() + repr([dict(span.attributes) for span in observed.spans()])
    for secret in (key, mail, "abcdef123", "4111111111111111", "a%40b.com", "verysecrettoken", "topsecret"):
        assert secret not in seen


def test_a_forged_line_stays_one_line(service: Service, observed: Observations) -> None:
    """Line ends, escape codes and JSON in the path and the user agent stay inside their field."""
    path = "/nowhere/%0A%7B%22severity%22%3A%22CRITICAL%22%7D%1B%5B31m"
    service.call("GET", path, {"User-Agent": '","severity":"CRITICAL","x":"'})
    line = only(observed.lines())
    assert line["severity"] == "WARNING"
    assert "\x1b" not in observed.text()


def test_an_excluded_path_is_not_recorded(service: Service, instrument: Callable[..., Observations]) -> None:
    """A path that matches `excluded_urls` gives no span, no point and no line."""
    observed = instrument(service.app, excluded_urls="^/items,health")
    assert service.call("GET", "/items/7").status == 200
    assert service.call("GET", "/healthz").status == 404
    assert service.call("GET", "/stream").status == 200
    assert [span.name for span in observed.server_spans()] == ["GET /stream"]
    assert only(observed.points()).count == 1
    assert len(observed.access_lines()) == 1


def test_an_excluded_request_leaves_nothing_behind(service: Service, instrument: Callable[..., Observations]) -> None:
    """What an unrecorded request binds does not stay with its thread."""
    observed = instrument(service.app, excluded_urls="^/items")
    service.call("GET", "/items/7")
    service.call("GET", "/stream")
    assert only(observed.access_lines())["user_id"] is None


def test_unsampled_requests_still_count_and_log(service: Service, instrument: Callable[..., Observations]) -> None:
    """With a sample ratio of 0 there are lines, durations and the spans of failed requests, and no other spans."""
    observed = instrument(service.app, sample_ratio=0.0)
    service.call("GET", "/items/7", {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    service.call("GET", "/boom")
    assert [span.name for span in observed.server_spans()] == ["GET /boom"]
    assert sum(point.count for point in observed.points()) == 2
    lines = observed.access_lines()
    assert lines[0]["trace_id"] == TRACE
    assert lines[0]["logging.googleapis.com/trace_sampled"] is False
    assert len(observed.errors()) == 1


@pytest.mark.parametrize(("flags", "count"), [("01", 1), ("00", 0)])
def test_the_callers_flag_decides_where_it_is_trusted(
    service: Service, instrument: Callable[..., Observations], flags: str, count: int
) -> None:
    """With `trust_incoming_sampling` the caller's sampled flag decides, whatever the ratio."""
    observed = instrument(service.app, sample_ratio=0.5, trust_incoming_sampling=True)
    service.call("GET", "/items/7", {"traceparent": f"00-{TRACE}-b7ad6b7169203331-{flags}"})
    assert len(observed.server_spans()) == count


def test_a_second_call_changes_nothing(service: Service, observed: Observations) -> None:
    """Instrumenting the same app again gives the same handle and still one span, one point, one line a request."""
    import obskit

    assert obskit.instrument(service.app) is observed.handle
    service.call("GET", "/items/7")
    assert only(observed.points()).count == 1
    only(observed.server_spans())
    only(observed.access_lines())


def test_an_app_is_observed_again_after_a_shutdown(service: Service, instrument: Callable[..., Observations]) -> None:
    """After `shutdown`, another `instrument` takes the same app into a new set-up, without doubling anything."""
    assert instrument(service.app).handle.shutdown(5)
    observed = instrument(service.app, service_name="second")
    service.call("GET", "/items/7")
    assert only(observed.server_spans()).resource.attributes["service.name"] == "second"
    assert only(observed.points()).count == 1
    assert only(observed.access_lines())["service"] == "second"


def test_requests_do_not_mix(service: Service, observed: Observations) -> None:
    """What one request binds is not seen by the next."""
    service.call("GET", "/items/7")
    service.call("GET", "/stream")
    first, second = observed.access_lines()
    assert (first["user_id"], second["user_id"]) == ("u-1", None)
    assert first["trace_id"] != second["trace_id"]
