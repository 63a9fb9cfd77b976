"""Streams that break, and clients that leave them, over real servers."""

from __future__ import annotations

import socket
import time

import peers
import pytest
from servers import SERVERS, Figure, access_line, lines_with, on_asgi
from sinks import Sinks, attributes, new_trace
from wire import Service, eventually

from obskit.demo.fake_gemini import FakeGemini

peers.opentelemetry(17, "stream")


def google_reports(sinks: Sinks, agent: str) -> list:
    """Return what Error Reporting got of the requests of a user agent."""
    return [event for event in sinks.google.events if event.context.http_request.user_agent == agent]


# --------------------------------------------------------------------------- 17


@pytest.mark.fault(17, "the span covers the streamed body and its children are in its trace")
@pytest.mark.parametrize("path", ["/stream", "/sync-stream"])
def test_a_stream_is_covered(served: Service, sinks: Sinks, path: str, figure: Figure) -> None:
    """The server span lasts as long as the body, and the spans made while it streams are its children."""
    trace_id, headers = new_trace()
    assert served.request(path, headers=headers) == (200, b"0\n1\n2\n3\n")
    span = sinks.server_span(trace_id)
    children = eventually(lambda: len(sinks.spans(trace_id)) == 5) and sinks.spans(trace_id)
    assert children, [child.name for child in sinks.spans(trace_id)]
    assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9 >= 4 * 0.05
    for child in children:
        if child is not span:
            assert child.parent_span_id == span.span_id
            assert span.start_time_unix_nano <= child.start_time_unix_nano
            assert child.end_time_unix_nano <= span.end_time_unix_nano
    line = access_line(served, trace_id)
    assert line["httpRequest"]["responseSize"] == "8"
    said = [entry for entry in served.lines() if "piece" in entry and entry["trace_id"] == trace_id]
    assert [entry["piece"] for entry in said] == [0, 1, 2, 3]
    figure("the span covers the body, 4 of 4 children inside it")


@pytest.mark.fault(17, "an error in mid-stream is seen")
@pytest.mark.parametrize("path", ["/broken", "/broken-at-once"])
def test_an_error_in_midstream(served: Service, sinks: Sinks, path: str, figure: Figure) -> None:
    """An exception after the second piece, or before the first, fails span and line, and is reported once to each sink."""
    trace_id, headers = new_trace()
    headers |= {"Host": "h", "User-Agent": (agent := f"agent-{trace_id}"), "Connection": "close"}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = served.raw(f"GET {path} HTTP/1.1\r\n{text}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200") or path == "/broken-at-once"
    span = sinks.server_span(trace_id)
    assert span.status.code == 2
    assert attributes(span)["error.type"] == "ValueError"
    assert [event.name for event in span.events] == ["exception"]
    line = access_line(served, trace_id)
    assert (line["severity"], line["error_type"]) == ("ERROR", "ValueError")

    def counts() -> tuple[int, int, int]:
        records = [record for record in sinks.collector.records if record.trace_id.hex() == trace_id]
        return len(sinks.sentry_events(trace_id)), len(google_reports(sinks, agent)), len(records)

    assert eventually(lambda: counts() == (1, 1, 1)), counts()
    figure("an error in mid-stream: 1 event in each of 3 sinks")


@pytest.mark.fault(17, "a file that the server sends by itself is whole and covered")
def test_a_file(served: Service, sinks: Sinks) -> None:
    """A file of 3 MB arrives whole, by whatever way the server has for it, as one plain 200."""
    trace_id, headers = new_trace()
    status, body = served.request("/file", headers=headers)
    assert (status, len(body)) == (200, 3_000_000)
    line = access_line(served, trace_id)
    assert line["severity"] == "INFO"
    assert "cancelled" not in line
    assert sinks.server_span(trace_id).status.code == 0


# --------------------------------------------------------------------------- 18


@pytest.mark.fault(18, "a client that leaves a stream: one span, marked cancelled")
@pytest.mark.parametrize("path", ["/endless", "/sync-endless"])
def test_a_client_that_leaves(served: Service, sinks: Sinks, path: str) -> None:
    """The stream of a client that has left ends: one span and one line, marked, without an error report."""
    mark, at = new_trace()[0], len(served.printed)
    assert b"more" in served.abandon(f"{path}?{mark}", after=b"more")
    found = lines_with(served, mark)
    assert len(found) == 1, served.printed[-3000:]
    line = found[0]
    assert (line["cancelled"], line["error_type"]) == (True, "client_disconnected")
    span = sinks.server_span(line["trace_id"])
    assert attributes(span)["error.type"] == "client_disconnected"
    assert not sinks.sentry_events(line["trace_id"])
    assert not [event for event in sinks.google.events if mark in event.context.http_request.url]
    assert not [record for record in sinks.collector.records if record.trace_id.hex() == line["trace_id"]]
    assert "Traceback" not in served.printed[at:]
    assert served.request("/items/1")[0] == 200


@pytest.mark.fault(18, "a client that leaves in the middle of a large answer: not a plain 200")
@pytest.mark.parametrize("path", ["/large", "/large-file"])
def test_a_client_that_leaves_a_large_answer(served: Service, sinks: Sinks, path: str) -> None:
    """An answer of 40 MB in one piece, or a file of it, whose client leaves after the first bytes is marked.

    uvicorn takes a single piece at once, whatever its size, and tells the app nothing of what becomes of it.
    """
    if path == "/large" and served.app != "wsgi":
        path = "/large-file"
    served.abandon(f"{path}?{(mark := new_trace()[0])}", after=b"zzzz")
    (line,) = lines_with(served, mark)
    assert (line.get("cancelled"), line.get("error_type")) == (True, "client_disconnected"), line
    assert attributes(sinks.server_span(line["trace_id"]))["error.type"] == "client_disconnected"
    assert not sinks.sentry_events(line["trace_id"])


@pytest.mark.fault(18, "a client that leaves before there is a response: not a plain 200")
@on_asgi
def test_a_client_that_leaves_early(served: Service, sinks: Sinks) -> None:
    """A client that has left while the response was being made is marked; a WSGI server could not know of it."""
    served.abandon(f"/slow?{(mark := new_trace()[0])}")
    found = lines_with(served, mark)
    assert len(found) == 1, served.printed[-3000:]
    assert found[0].get("cancelled") is True
    assert attributes(sinks.server_span(found[0]["trace_id"]))["error.type"] == "client_disconnected"


@pytest.mark.fault(18, "a client that leaves in the middle of its upload: one span, marked cancelled")
@on_asgi
def test_a_client_that_leaves_its_upload(served: Service, sinks: Sinks) -> None:
    """An upload that stops half-way is one span and one line, marked; gunicorn hands Flask a short body as a whole one."""
    mark = new_trace()[0]
    begun = f"POST /upload?{mark} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(begun.encode() + b"x" * 100_000)
        time.sleep(0.1)  # so that the app is in the middle of reading it
    found = lines_with(served, mark)
    assert len(found) == 1, served.printed[-3000:]
    line = found[0]
    assert (line.get("cancelled"), line.get("error_type")) == (True, "client_disconnected"), line
    assert attributes(sinks.server_span(line["trace_id"]))["error.type"] == "client_disconnected"
    assert not sinks.sentry_events(line["trace_id"])


@pytest.mark.fault(18, "an AI stream that the client abandons ends with the tokens seen and a mark")
@pytest.mark.parametrize("path", ["/ai", "/sync-ai"])
def test_an_abandoned_ai_stream(served: Service, sinks: Sinks, path: str, figure: Figure) -> None:
    """The AI call's span has ended, is marked as abandoned, and tells the tokens of the pieces that came."""
    mark = new_trace()[0]
    served.abandon(f"{path}?{mark}", after=b"tokens=")
    found = lines_with(served, mark)
    assert len(found) == 1, served.printed[-3000:]
    trace_id = found[0]["trace_id"]

    def calls() -> list:
        return [span for span in sinks.spans(trace_id) if span.name.startswith("generate_content")]

    assert eventually(lambda: len(calls()) == 1), [span.name for span in sinks.spans(trace_id)]
    told = attributes(calls()[0])
    assert told["obskit.gen_ai.is_abandoned"] is True
    assert told["gen_ai.usage.input_tokens"] > 0
    assert "error.type" not in told
    assert attributes(sinks.server_span(trace_id))["error.type"] == "client_disconnected"
    figure("the abandoned AI stream is marked, with its tokens")


@pytest.mark.fault(18, "AI streams that were abandoned right before the end of the process have their spans too")
@pytest.mark.parametrize(
    ("name", "path"), [("fastapi-uvicorn", "/sync-ai"), ("fastapi-gunicorn", "/ai"), ("flask-gthread", "/sync-ai")]
)
def test_ai_streams_at_the_end(sinks: Sinks, gemini: FakeGemini, name: str, path: str, figure: Figure) -> None:
    """Of five streams whose clients leave at once, and SIGTERM right after, every call arrives, marked."""
    app, command = SERVERS[name]
    with Service(command, sinks.environment(FAULTY_APP=app, FAKE_GEMINI_URL=gemini.url)) as service:
        marks = [new_trace()[0] for _ in range(5)]
        for mark in marks:
            service.abandon(f"{path}?{mark}", after=b"tokens=")
        service.end()
        ids = {lines_with(service, mark)[0]["trace_id"] for mark in marks}
    calls = [span for span in sinks.collector.spans if "gen_ai.usage.input_tokens" in attributes(span)]
    found = [span for span in calls if span.trace_id.hex() in ids]
    assert all(attributes(span)["obskit.gen_ai.is_abandoned"] is True for span in found)
    assert len(found) == len(marks)
    figure(f"{len(found)} of {len(marks)} AI streams abandoned right before SIGTERM have their spans")
