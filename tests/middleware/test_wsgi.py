"""What only WSGI and Flask have: files sent by the server, Flask's own log line, foreign instrumentation."""

from __future__ import annotations

import gc
import io
import sys
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import flask
import pytest
from flask import Flask, Response, send_file, stream_with_context
from observations import Observations
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.test import Client, EnvironBuilder

import obskit
from obskit.signals import context

Instrument = Callable[..., Observations]


def only(things: Any) -> Any:
    things = list(things)
    assert len(things) == 1, things
    return things[0]


def run(app: Any, environ: dict[str, Any]) -> tuple[Any, list[str]]:
    statuses: list[str] = []

    def start_response(status: str, _headers: Any, _exc_info: Any = None) -> Any:
        statuses.append(status)
        return lambda _: None

    return app(environ, start_response), statuses


def test_a_file_is_left_to_the_server(instrument: Instrument) -> None:
    """A server's own file object reaches it unwrapped, so that it can send it by itself; the end is seen at close."""

    class FileWrapper:
        def __init__(self, file: Any, _size: int = 8192) -> None:
            self.file = file

        def close(self) -> None:
            self.file.close()

    app = Flask("files")
    file = io.BytesIO(b"content")
    app.add_url_rule("/file", "file", lambda: send_file(file, download_name="a.bin"))
    observed = instrument(app)
    environ = EnvironBuilder("/file").get_environ() | {"wsgi.file_wrapper": FileWrapper}
    body, _ = run(app, environ)
    assert isinstance(body, FileWrapper)
    assert observed.server_spans() == []
    body.close()
    assert file.closed
    span = only(observed.server_spans())
    assert "error.type" not in span.attributes


def test_a_body_that_is_closed_early_but_whole_is_a_success(instrument: Instrument) -> None:
    """A server that stops after the announced length has had the whole body."""
    app = Flask("early")
    app.add_url_rule("/", "early", lambda: Response(b"12345"))
    observed = instrument(app)
    body, _ = run(app, EnvironBuilder("/").get_environ())
    assert next(iter(body)) == b"12345"
    body.close()
    assert "error.type" not in only(observed.server_spans()).attributes


def test_flasks_own_line_of_a_crash_is_not_counted_twice(instrument: Instrument) -> None:
    """The exception that Flask logs is reported already, so its stack stands where Error Reporting does not look."""
    app = Flask("crash")

    def crash() -> str:
        raise ValueError("no")

    app.add_url_rule("/", "crash", crash)
    observed = instrument(app)
    assert Client(app).open("/", buffered=True).status_code == 500
    line = only([line for line in observed.lines() if line["message"].startswith("Exception on /")])
    assert line["severity"] == "ERROR"
    assert "ValueError: no" in line["traceback"]
    assert "stack_trace" not in line
    only(observed.errors())


def test_a_worker_that_is_killed_marks_its_request(instrument: Instrument) -> None:
    """A server that ends a worker in the middle of a request, as gunicorn does on a timeout, fails its span."""
    app = Flask("timeout")
    app.add_url_rule("/", "timeout", lambda: sys.exit(1))
    observed = instrument(app)
    with pytest.raises(SystemExit):
        run(app, EnvironBuilder("/").get_environ())
    span = only(observed.server_spans())
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "SystemExit")


def test_nothing_stays_current_after_a_request(instrument: Instrument) -> None:
    """A thread that has served a request is in no trace and bound to nothing, also between two pieces of a stream."""
    app = Flask("thread")
    app.add_url_rule("/", "stream", lambda: Response(iter([b"1", b"2"])))
    instrument(app)
    body, _ = run(app, EnvironBuilder("/").get_environ())
    pieces = iter(body)
    next(pieces)
    assert not trace.get_current_span().get_span_context().is_valid
    assert list(pieces) == [b"2"]
    body.close()
    assert not trace.get_current_span().get_span_context().is_valid


def test_streams_that_take_turns_keep_their_own_request(instrument: Instrument) -> None:
    """Each piece is made with the span, the bound fields and the variables of its own request, on whatever thread."""
    app = Flask("turns")
    note: ContextVar[str] = ContextVar("note", default="")
    seen: dict[str, list[tuple[int, str, object]]] = {"a": [], "b": []}

    def stream(name: str) -> Response:
        obskit.bind(user_id=name)

        def pieces() -> Iterator[bytes]:
            token = note.set(name)
            try:
                for _ in range(3):
                    span = trace.get_current_span().get_span_context().span_id
                    seen[name].append((span, note.get(), context.bound().get("user_id")))
                    yield b"1"
            finally:
                note.reset(token)
                seen[name].append((trace.get_current_span().get_span_context().span_id, note.get(), name))

        return Response(stream_with_context(pieces()))

    app.add_url_rule("/<name>", "stream", stream)
    observed = instrument(app)
    bodies = [run(app, EnvironBuilder(f"/{name}").get_environ())[0] for name in seen]
    for body in bodies * 2:
        assert next(iter(body)) == b"1"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(next, iter(bodies[0])).result() == b"1"
    assert list(bodies[1]) == [b"1"]
    for body in bodies:
        body.close()
    spans = {span.attributes["url.path"][1:]: span for span in observed.server_spans()}
    for name, each in seen.items():
        assert each[:3] == [(spans[name].context.span_id, name, name)] * 3
        assert each[3] == (spans[name].context.span_id, "", name)
    assert [spans[name].attributes.get("error.type") for name in seen] == ["client_disconnected", None]
    assert note.get() == ""


def test_a_body_that_nobody_wants_is_let_go_at_once(instrument: Instrument) -> None:
    """What a stream holds is free as soon as the server drops it, without waiting for the garbage collector."""
    app = Flask("dropped")

    class Source:
        pass

    kept: list[weakref.ref[Source]] = []

    def stream() -> Response:
        source = Source()
        kept.append(weakref.ref(source))
        return Response(b"%d" % (number + bool(source)) for number in range(9))

    app.add_url_rule("/", "stream", stream)
    instrument(app)
    gc.disable()
    try:
        body, _ = run(app, EnvironBuilder("/").get_environ())
        next(iter(body))
        body.close()
        del body
        assert kept[0]() is None
    finally:
        gc.enable()


def test_flasks_own_client_keeps_its_context(instrument: Instrument) -> None:
    """A test that looks at the request after it, in a `with` block of Flask's client, still sees it."""
    app = Flask("client")
    app.add_url_rule("/seen", "seen", lambda: "yes")
    instrument(app)
    with app.test_client() as client:
        assert client.get("/seen").data == b"yes"
        assert flask.request.path == "/seen"


def test_opentelemetrys_own_instrumentation_keeps_its_span(instrument: Instrument) -> None:
    """Its server span stays the only one, and obskit's line and duration carry its ids."""
    app = Flask("foreign")
    app.add_url_rule("/", "hello", lambda: "hello")
    theirs = app.wsgi_app

    def foreign(environ: Any, start_response: Any) -> Any:
        with trace.get_tracer("foreign").start_as_current_span("theirs", kind=SpanKind.SERVER):
            return theirs(environ, start_response)

    app.wsgi_app = foreign  # type: ignore[method-assign]
    app._is_instrumented_by_opentelemetry = True  # type: ignore[attr-defined]
    observed = instrument(app)
    assert Client(app).open("/", buffered=True).status_code == 200
    span = only(observed.server_spans())
    assert span.name == "theirs"
    assert only(observed.access_lines())["trace_id"] == f"{span.context.trace_id:032x}"
    assert only(observed.points()).count == 1


def test_paths_beyond_ascii_are_readable(instrument: Instrument) -> None:
    """A path in UTF-8 is shown as people write it, and one that is no UTF-8 does no harm."""
    app = Flask("paths")
    observed = instrument(app)
    for path in ("/caf\u00e9".encode().decode("latin-1"), "/\xff\xfe"):
        body, _ = run(app, {**EnvironBuilder("/").get_environ(), "PATH_INFO": path})
        list(body)
        body.close()
    assert [span.attributes["url.path"] for span in observed.server_spans()] == ["/café", "/%C3%BF%C3%BE"]


def test_a_thread_with_the_requests_context_is_in_its_trace(instrument: Instrument) -> None:
    """What a request's threads say carries its trace where they take its context with them."""
    import contextvars
    from concurrent.futures import ThreadPoolExecutor

    app = Flask("threads")

    def view() -> str:
        obskit.bind(user_id="u-3")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, obskit.get_logger().info, "from a thread").result()
        return "ok"

    app.add_url_rule("/", "view", view)
    observed = instrument(app)
    assert Client(app).open("/", buffered=True).status_code == 200
    line = only([line for line in observed.lines() if line["message"] == "from a thread"])
    assert (line["user_id"], line["trace_id"]) == ("u-3", only(observed.access_lines())["trace_id"])
