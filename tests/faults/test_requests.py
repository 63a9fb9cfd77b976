"""Mounted apps, WebSockets, interleaved work and hostile headers, over real servers."""

from __future__ import annotations

import concurrent.futures
import json
import re
import socket
import struct

import peers
import pytest
from servers import Figure, access_line, on_asgi
from sinks import Sinks, attributes, new_trace
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from wire import Service, eventually

ROUTES = {
    "fast": ("/sub/things/{thing_id}", "/sub/boom/{thing_id}"),
    "star": ("/sub/things/{thing_id}", "/sub/boom/{thing_id}"),
    "wsgi": ("/sub/things/<thing_id>", "/sub/boom/<thing_id>"),
}

peers.opentelemetry(20, "websocket")


# --------------------------------------------------------------------------- 19


@pytest.mark.fault(19, "a mounted app, a 500 and a handled exception: one server span and the full route")
@pytest.mark.parametrize(
    ("path", "status", "is_error"),
    [
        ("/sub/things/7", 200, False),
        ("/sub/boom/7", 500, True),
        ("/boom", 500, True),
        ("/refused", 500, False),
        ("/unavailable", 503, False),
    ],
)
def test_one_span_and_one_event(
    served: Service, sinks: Sinks, path: str, status: int, *, is_error: bool, figure: Figure
) -> None:
    """Each request has one server span with the full route, one line, and one error event in each sink if it failed."""
    trace_id, headers = new_trace()
    agent = f"agent-{trace_id}"
    assert served.request(path, headers={**headers, "User-Agent": agent})[0] == status
    span = sinks.server_span(trace_id)
    things, boom = ROUTES[served.app]
    route = {"/sub/things/7": things, "/sub/boom/7": boom}.get(path, path)
    assert attributes(span)["http.route"] == route
    assert span.name == f"GET {route}"
    assert span.status.code == (2 if status >= 500 else 0)
    assert [event.name for event in span.events] == (["exception"] if is_error else [])
    line = access_line(served, trace_id)
    assert (line["endpoint"], line["httpRequest"]["status"]) == (route, status)

    def counts() -> tuple[int, int, int]:
        google = [event for event in sinks.google.events if event.context.http_request.user_agent == agent]
        records = [record for record in sinks.collector.records if record.trace_id.hex() == trace_id]
        return len(sinks.sentry_events(trace_id)), len(google), len(records)

    wanted = (1, 1, 1) if is_error else (0, 0, 0)
    assert eventually(lambda: counts() == wanted), counts()
    # A marker request behind it: once its span is there, what was to come of the first one has come.
    last, headers = new_trace()
    served.request("/items/1", headers=headers)
    sinks.server_span(last)
    assert counts() == wanted
    assert len(sinks.server_spans(trace_id)) == 1
    # Error Reporting makes an event of each line with a stack trace, and has been told already.
    assert not [line for line in served.lines() if "stack_trace" in line and line.get("trace_id") == trace_id]
    figure("1 server span, full route, 1 event in each of 3 sinks")


@pytest.mark.fault(19, "an error after the response: the request stands as it was answered, one event in each sink")
def test_an_error_after_the_response(served: Service, sinks: Sinks) -> None:
    """A background task that fails, or what is called on close, leaves one 200 line, one span and one report."""
    trace_id, headers = new_trace()
    assert served.request("/late", headers=headers)[0] == 200
    assert eventually(lambda: len(sinks.sentry_events(trace_id)) == 1)
    assert access_line(served, trace_id)["httpRequest"]["status"] == 200
    assert len(sinks.server_spans(trace_id)) == 1


# --------------------------------------------------------------------------- 20


@pytest.mark.fault(20, "a WebSocket whose client vanishes, or whose app fails, is one span")
@on_asgi
def test_a_websocket_that_breaks(served: Service, sinks: Sinks) -> None:
    """A client that is gone without a word is no error; an exception of the app is one, reported once."""
    trace_id, headers = new_trace()
    with connect(f"ws://127.0.0.1:{served.port}/ws", additional_headers=headers) as gone:
        gone.send("hello")
        gone.recv()
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.socket.shutdown(socket.SHUT_RDWR)
    assert "error.type" not in attributes(sinks.server_span(trace_id))
    access_line(served, trace_id)
    failed, headers = new_trace()
    with connect(f"ws://127.0.0.1:{served.port}/ws-boom", additional_headers=headers) as channel:
        channel.send("hello")
        with pytest.raises(ConnectionClosed):
            channel.recv()
    assert attributes(sinks.server_span(failed))["error.type"] == "ValueError"
    assert access_line(served, failed)["severity"] == "ERROR"
    assert eventually(lambda: len(sinks.sentry_events(failed)) == 1)
    assert not sinks.sentry_events(trace_id)


@pytest.mark.fault(20, "a WebSocket with 50 messages makes as many spans as one with 1")
@on_asgi
def test_a_websocket(served: Service, sinks: Sinks, figure: Figure) -> None:
    """A conversation is one span and one line, whatever the number of its messages."""
    counts = []
    for messages in (1, 50):
        trace_id, headers = new_trace()
        with connect(f"ws://127.0.0.1:{served.port}/ws", additional_headers=headers) as channel:
            for number in range(messages):
                channel.send(str(number))
                assert channel.recv() == str(number)
        sinks.server_span(trace_id)
        access_line(served, trace_id)
        counts.append(len(sinks.spans(trace_id)))
    assert counts == [1, 1]
    figure(f"{counts[1]} span for 50 messages")


# --------------------------------------------------------------------------- 21


@pytest.mark.fault(21, "1,000 interleaved requests with tasks, threads and background work cross no ids")
@pytest.mark.timeout(300)
def test_no_crossed_ids(served: Service, sinks: Sinks, figure: Figure) -> None:
    """Every line and span of a request, wherever it was made, has that request's trace, user and number."""
    count = 1000 if served.name in {"fastapi-uvicorn", "flask-gthread", "flask-gevent"} else 200
    paths = ("/work", "/sync-work") if served.app == "fast" else ("/work",)
    known = {}

    def ask(number: int) -> int:
        trace_id, headers = new_trace()
        known[number] = trace_id
        return served.request(f"{paths[number % len(paths)]}/{number}", headers=headers)[0]

    with concurrent.futures.ThreadPoolExecutor(24) as clients:
        assert set(clients.map(ask, range(count))) == {200}
    asyncio_places = {"before", "task 0", "task 1", "thread", "executor", "after", "background"}
    thread_places = asyncio_places - {"task 0", "task 1"}

    def places(number: int) -> set[str]:
        is_async = served.app != "wsgi" and paths[number % len(paths)] == "/work"
        return asyncio_places if is_async else thread_places

    expected = {(number, place) for number in range(count) for place in places(number)}

    def work_lines() -> list[dict]:
        return [line for line in served.lines() if "number" in line]

    eventually(lambda: len(work_lines()) >= 2 * len(expected), 30)
    seen = set()
    crossed = []
    for line in work_lines():
        seen.add((line["number"], line["where"]))
        if (line["trace_id"], line.get("user_id")) != (known[line["number"]], f"user-{line['number']}"):
            crossed.append(line)
    assert not crossed, crossed[:3]
    assert seen == expected | {(number, f"{place}, logging") for number, place in expected}
    by_trace = {trace_id: number for number, trace_id in known.items()}
    ends = [line for line in served.access_lines() if line["trace_id"] in by_trace]
    assert len(ends) == count
    assert all(line["user_id"] == f"user-{by_trace[line['trace_id']]}" for line in ends)

    def own_spans() -> list:
        return [span for span in sinks.collector.spans if "number" in attributes(span)]

    def of_this_run() -> list:
        return [span for span in own_spans() if span.trace_id.hex() in by_trace]

    assert eventually(lambda: len(of_this_run()) >= len(expected), 30), len(of_this_run())
    spans = of_this_run()
    assert {(attributes(span)["number"], span.name) for span in spans} == expected
    assert all(attributes(span)["number"] == by_trace[span.trace_id.hex()] for span in spans)
    figure(f"{count:,} requests: 0 of {len(seen):,} lines and {len(spans):,} spans crossed")


# --------------------------------------------------------------------------- 23

HUGE = "x" * 60_000
TRACEPARENTS = [
    "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
    "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
    "00-" + "1" * 32,
    "00-" + "G" * 32 + "-" + "1" * 16 + "-01",
    "00-" + "1" * 32 + "-" + "1" * 16 + "-01-more",
    "01" * 8000,
    "\xff\xfe\x00"[:2],
    "-",
]


@pytest.mark.fault(23, "malformed and huge trace headers leave the app and its telemetry alone")
@pytest.mark.parametrize("name", ["traceparent", "tracestate", "baggage", "X-Cloud-Trace-Context"])
def test_hostile_trace_headers(served: Service, sinks: Sinks, name: str) -> None:
    """Whatever a trace header holds, the request is served, has a valid trace of its own, and a bounded line."""
    values = [*TRACEPARENTS, "a=" + "b" * 6000, ",".join(f"k{n}=v" for n in range(500)), "=,;=;,%00", "a=1;" * 1500]
    for number, value in enumerate(values):
        headers = {name: value[:7000].encode("latin-1"), "User-Agent": (agent := f"{name}-{number}")}
        if name != "traceparent" and name != "X-Cloud-Trace-Context":
            trace_id, more = new_trace()
            headers |= more
        else:
            trace_id = ""
        status, body = served.request("/items/7", headers=headers)
        assert (status, json.loads(body)) in ((200, {"item": 7}), (200, {"item_id": 7}))
        found = eventually(
            lambda agent=agent: [
                line for line in served.access_lines() if line["httpRequest"].get("userAgent") == agent
            ]
        )
        assert len(found) == 1
        line = found[0]
        assert re.fullmatch(r"[0-9a-f]{32}", line["trace_id"])
        assert line["trace_id"] != "0" * 32
        assert not trace_id or line["trace_id"] == trace_id
        assert len(json.dumps(line)) < 2000
    assert sinks.server_span(line["trace_id"])


@pytest.mark.fault(23, "64 KB of headers leave the app alone, and the line is bounded")
def test_huge_headers(served: Service, sinks: Sinks, figure: Figure) -> None:
    """The server's own limit decides; what it lets through is served, with a line of a few KB at most."""
    before = len(served.access_lines())
    own = ("traceparent", "tracestate", "baggage", "X-Cloud-Trace-Context")
    for name in ("User-Agent", "Referer", "Cookie", "X-Any", "X-Forwarded-For", "Host", *own):
        for size in (8_000, 60_000):
            status, _ = served.request(f"/items/7?{name}", headers={name: "x" * size})
            assert status in {200, 400, 431}
    many = {f"X-Header-{number}": "y" * 40 for number in range(1000)}  # 55 KB
    assert served.request("/items/7?many", headers=many)[0] in {200, 400, 431}
    status, _ = served.request("/items/7?" + "q" * 4000)  # as long as gunicorn takes it by default
    assert status == 200
    assert served.request("/items/7")[0] == 200
    lines = eventually(lambda: len(served.access_lines()) > before + 1) and served.access_lines()[before:]
    longest = max(len(json.dumps(line)) for line in lines)
    largest = max(span.ByteSize() for span in sinks.server_spans(lines[-1]["trace_id"]) + sinks.collector.spans)
    assert longest < 8000
    assert largest < 10_000
    figure(f"64 KB of headers: lines under {-(-longest // 1000)} KB, spans under {-(-largest // 1000)} KB")


@pytest.mark.fault(23, "HEAD and OPTIONS are served and observed like any other method")
def test_head_and_options(served: Service, sinks: Sinks) -> None:
    """The app's answer comes as it would without obskit, and each is one span and one line with its method."""
    for method, path in (("HEAD", "/items/7"), ("OPTIONS", "/items/7"), ("HEAD", "/nowhere"), ("HEAD", "/stream")):
        trace_id, headers = new_trace()
        status, body = served.request(path, method, headers)
        assert body == b"" or method == "OPTIONS"
        assert status in {200, 404, 405}
        span = sinks.server_span(trace_id)
        line = access_line(served, trace_id)
        assert attributes(span)["http.request.method"] == line["httpRequest"]["requestMethod"] == method
        assert line["httpRequest"]["status"] == status
        assert "cancelled" not in line


@pytest.mark.fault(23, "bytes that are no HTTP at all do no harm")
def test_garbage_on_the_wire(served: Service) -> None:
    """The server refuses what is not HTTP, and goes on serving."""
    for text in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nX: \x00\r\n\r\n",
        b"BREW /%00%ff%zz?=&&;;%%% HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b'GET /items/7#" HTTP/1.0\r\n\r\n',
    ):
        served.raw(text)
    assert served.request("/items/7")[0] == 200
    for line in served.lines():
        assert line["severity"] in {"DEBUG", "INFO", "WARNING", "ERROR", "NOTICE", "CRITICAL"}


@pytest.mark.fault(23, "an upload of 20 MiB passes through untouched")
def test_an_upload(served: Service) -> None:
    """A large body reaches the app whole."""
    body = b"0123456789abcdef" * (20 * 65536)
    status, answer = served.request("/upload", "POST", body=body)
    assert (status, json.loads(answer)) == (200, {"size": len(body)})
