"""Lines of requests that end soon after each other are made in one go, and are those that Python makes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from both_ways import END, START, App, Case, Route, Said, Server, Way, driven, json_lines, scope_of

from obskit.middleware import asgi, requests
from obskit.signals import gathering, logs
from obskit.signals.redaction import Redactor
from obskit.testing import capture

pytestmark = pytest.mark.needs("native")

TRACE, PARENT = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"


def headers(*more: tuple[bytes, bytes]) -> Callable[[], Any]:
    return lambda: scope_of(headers=[(b"host", b"shop"), *more])


LATER: dict[str, Case] = {
    "plain": Case(),
    "a caller": Case(scope=headers((b"traceparent", b"-".join((b"00", TRACE, PARENT, b"01"))))),
    "no caller that is sampled": Case(scope=headers((b"traceparent", b"-".join((b"00", TRACE, PARENT, b"00"))))),
    "a trace that begins with noughts": Case(
        scope=headers((b"traceparent", b"-".join((b"00", b"0" * 16 + b"a" * 16, PARENT, b"01"))))
    ),
    "a route": Case(scope=lambda: scope_of(route=Route("/a/{b}"))),
    "a query": Case(scope=lambda: scope_of(query_string=b"a=b&token=c")),
    "a query that is not ASCII": Case(scope=lambda: scope_of(query_string="a=\u00e4".encode())),
    "an agent that is not ASCII": Case(scope=headers((b"user-agent", 'pr\u00f6be \x01"'.encode("latin-1")))),
    "an agent with a secret": Case(scope=headers((b"user-agent", b"a password=hunter2"))),
    "no agent": Case(scope=headers()),
    "no host": Case(scope=lambda: scope_of(headers=[])),
    "a host that is odd": Case(scope=lambda: scope_of(headers=[(b"host", b'\xff"/?')])),
    "another scheme": Case(scope=lambda: scope_of(scheme="https")),
    "no client": Case(scope=lambda: scope_of(client=None)),
    "a client of the sixth version": Case(scope=lambda: scope_of(client=("::1", 5000))),
    "a body that comes": Case(scope=headers((b"content-length", b"1234567890"))),
    "an empty body that comes": Case(scope=headers((b"content-length", b"0"))),
    "a stream": Case(steps=(START, *[("body", b"x" * 65536, True)] * 40, END)),
    "no body": Case(steps=(START, ("body", b"", False))),
    "not found": Case(steps=(("start", 404), END)),
    "another method": Case(scope=lambda: scope_of(method="DELETE")),
    "at the epoch": Case(steps=(("state", "start_ns", 0), START, END)),
    "in the last year that a number holds": Case(steps=(("state", "start_ns", 2**63 - 2**55), START, END)),
}
"""Requests whose lines are made later."""

AT_ONCE: dict[str, Case] = {
    "a path that is not ASCII": Case(scope=lambda: scope_of(path="/\u00e4")),
    "a path with a secret": Case(scope=lambda: scope_of(path="/token/" + "a" * 40)),
    "a referrer": Case(scope=headers((b"referer", b"https://x/?token=abc"))),
    "an AI call": Case(steps=(("state", "ai_calls", 2), START, END)),
    "a caller with states": Case(
        scope=headers((b"traceparent", b"-".join((b"00", TRACE, PARENT, b"01"))), (b"tracestate", b"a=1"))
    ),
    "a trace of the app's own": Case(steps=(("state", "trace_id", "x" * 32), START, END)),
    "a status of an enum": Case(steps=(("start", HTTPStatus.CREATED), END)),
    "a start of more bits": Case(
        steps=(("state", "start_ns", 10**18 * 9), ("state", "request_bytes", 10**30), START, END)
    ),
    "a start before the epoch": Case(steps=(("state", "start_ns", -1), START, END)),
    "bytes below nought": Case(steps=(START, ("state", "response_bytes", -70), END)),
    "a body below nought": Case(steps=(("state", "request_bytes", -2), START, END)),
    "something bound": Case(steps=(("bind", {"user_id": "u-1"}), START, END)),
    "a failure": Case(steps=(("start", 503), END)),
}
"""Requests whose lines are made at their end."""


@pytest.fixture(autouse=True)
def _wide_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All requests of a test come soon after each other, and nothing is overdue."""
    for module in (asgi, requests):
        monkeypatch.setattr(module, "THICK_S", 1e6)
    monkeypatch.setattr(gathering, "_OVERDUE_S", 1e6)
    with json_lines():
        yield
    assert logs.OUTPUT.flush(5)


class Run:
    """Serves requests in one turn of an event loop, whose lines wait for each other."""

    def __init__(self) -> None:
        self.states: list[Any] = []
        self.put_off: list[bool] = []

    def serve(self, way: Way, case: Case) -> Any:
        server, app, waiting = Server(case), App(case.steps), len(logs.OUTPUT._gathered)
        way.app = app
        error = driven(way.middleware(case.scope(), server.receive, server.send))
        way.app = None
        assert error is None, error
        self.states.append(app.state)
        self.put_off.append(len(logs.OUTPUT._gathered) == waiting + 1)
        return app.state


def written(what: Callable[[Run], object]) -> tuple[list[str], Run]:
    """Return the lines that come of it, and how it went."""
    run, text = Run(), io.StringIO()

    async def main() -> None:
        what(run)
        assert logs.OUTPUT.flush(5)

    with contextlib.redirect_stdout(text):
        asyncio.run(main())
    return text.getvalue().splitlines(keepends=True), run


def line_of(way: Way, state: Any) -> str:
    """Return the line as Python makes it."""
    series = way.observer.series[state.method, state._route, state.status, "", state.scheme]
    lines = way.observer.lines
    assert lines is not None
    return lines.line(state, "", {}, series.head, series.http)


def opened(run: Run, *ways: Way) -> None:
    """Let a line wait, so that those of the next requests can; the first of a series is Python's."""
    for _ in range(3):
        for way in ways:
            run.serve(way, Case())


@pytest.mark.parametrize("name", LATER)
def test_they_are_made_later(name: str) -> None:
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        opened(run, way)
        for _ in range(3):
            run.serve(way, LATER[name])

    lines, run = written(ask)
    assert lines == [line_of(way, state) for state in run.states]
    assert run.put_off[-2:] == [True, True]
    for line in lines:
        json.loads(line)


@pytest.mark.parametrize("name", AT_ONCE)
def test_they_are_made_at_once_and_stay_in_order(name: str) -> None:
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        opened(run, way)
        for case in (AT_ONCE[name], Case(), AT_ONCE[name], Case(), Case()):
            run.serve(way, case)

    lines, run = written(ask)
    assert run.put_off[-5:] == [False, True, False, True, True]
    traces = [json.loads(line)["trace_id"] for line in lines]
    assert traces == [state.trace_id for state in run.states]
    assert [lines[place] for place in (-4, -2, -1)] == [line_of(way, run.states[place]) for place in (-4, -2, -1)]


def test_a_request_that_is_not_sampled_is_made_at_once() -> None:
    way = Way(is_native=True, sample_ratio=0.0)

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, Case())

    lines, run = written(ask)
    assert not run.put_off[-1]
    assert lines[-1] == line_of(way, run.states[-1])
    assert json.loads(lines[-1])["logging.googleapis.com/trace_sampled"] is False


def test_a_person_reads_readable_lines() -> None:
    """Which Python makes, at once; also in the middle of others."""
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        with json_lines("console"):
            opened(run, way)
            run.serve(way, Case())
        run.serve(way, Case())
        run.serve(way, Case())

    lines, run = written(ask)
    assert not any(run.put_off[:-1])
    assert run.put_off[-1]
    assert not any(line.startswith("{") for line in lines[:-2])
    assert lines[-2:] == [line_of(way, state) for state in run.states[-2:]]


def test_lines_of_the_app_come_in_between() -> None:
    """Each where it was said."""
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        opened(run, way)
        for number in range(5):
            run.serve(way, Case())
            logs.OUTPUT.write(f"{number}\n")
            run.serve(way, Case())

    lines, run = written(ask)
    for number in range(5):
        place = lines.index(f"{number}\n")
        assert lines[place - 1] == line_of(way, run.states[3 + 2 * number])
    assert len(lines) == len(run.states) + 5


def test_apps_share_an_output() -> None:
    """Each line says its own service."""
    one, other = Way(is_native=True), Way(is_native=True, service_name="other")

    def ask(run: Run) -> None:
        opened(run, one, other)
        for _ in range(100):
            run.serve(one, Case())
            run.serve(other, Case())

    lines, run = written(ask)
    assert lines == [line_of((one, other)[number % 2], state) for number, state in enumerate(run.states)]
    assert all(run.put_off[-199:])


def test_what_makes_a_part_may_fail() -> None:
    """That line is lost, which is said; the others are not."""
    way = Way(is_native=True)
    lines_of_way = way.observer.lines
    assert lines_of_way is not None

    def ask(run: Run) -> None:
        opened(run, way)
        for number in range(6):
            run.serve(way, LATER["a query"] if number in {2, 4} else Case())
        lines_of_way._query = fail  # type: ignore[method-assign]

    def fail(_query: str) -> str:
        raise ZeroDivisionError("no query")

    said = Said()
    with said:
        lines, run = written(ask)
    assert [json.loads(line)["trace_id"] for line in lines] == [
        state.trace_id for number, state in enumerate(run.states) if number not in {5, 7}
    ]
    assert [line for line in said.lines if "no query" in line], said.lines


def test_a_part_that_is_no_text_is_told() -> None:
    way = Way(is_native=True)
    assert way.observer.lines is not None
    way.observer.lines._query = lambda _query: "\udcff"  # type: ignore[method-assign]

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, LATER["a query"])
        run.serve(way, Case())

    said = Said()
    with said:
        lines, run = written(ask)
    assert len(lines) == len(run.states) - 1
    assert [line for line in said.lines if "cannot be encoded" in line], said.lines


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_in_the_middle_loses_nothing(error: type[BaseException], times: int) -> None:
    """Its exception goes where the lines were to be written; they are the next time, and none is twice."""
    way = Way(is_native=True)
    lines_of_way = way.observer.lines
    assert lines_of_way is not None
    query, raised = lines_of_way._query, []

    def interrupted(text: str) -> str:
        if len(raised) < times:
            raised.append(error)
            raise error
        return query(text)

    def ask(run: Run) -> None:
        opened(run, way)
        for _ in range(3):
            run.serve(way, Case())
            run.serve(way, LATER["a query"])
        lines_of_way._query = interrupted  # type: ignore[method-assign]
        with pytest.raises(error):
            logs.OUTPUT.flush(5)

    lines, run = written(ask)
    del lines_of_way._query  # type: ignore[attr-defined]
    wanted = [line_of(way, state) for state in run.states]
    assert sorted(lines) == sorted(wanted)
    assert times == 2 or lines == wanted


def test_who_makes_a_part_may_say_something() -> None:
    """And serve requests, whose lines come as well."""
    way = Way(is_native=True)
    lines_of_way = way.observer.lines
    assert lines_of_way is not None
    query, run_of = lines_of_way._query, []

    def talkative(text: str) -> str:
        logs.OUTPUT.write("said\n")
        for _ in range(3):
            run_of[0].serve(way, Case())
        return query(text)

    def ask(run: Run) -> None:
        run_of.append(run)
        opened(run, way)
        for _ in range(3):
            run.serve(way, Case())
            run.serve(way, LATER["a query"])
        lines_of_way._query = talkative  # type: ignore[method-assign]
        assert logs.OUTPUT.flush(5)
        assert not len(logs.OUTPUT._gathered)
        del lines_of_way._query  # type: ignore[attr-defined]

    lines, run = written(ask)
    assert lines.count("said\n") == 3
    ours = [line for line in lines if line != "said\n"]
    assert sorted(ours) == sorted(line_of(way, state) for state in run.states)


def test_a_new_process_begins_with_none() -> None:
    """What waits in a parent is the parent's to write, and what comes in the child goes out."""
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, Case())
        logs.OUTPUT._reset()  # as after a fork, in the child
        run.serve(way, Case())
        run.serve(way, Case())

    lines, run = written(ask)
    assert run.put_off == [False, False, True, True, False, True]
    assert lines == [line_of(way, state) for state in run.states[-2:]]


def test_lines_go_where_the_module_is_told_to_keep_out() -> None:
    """The setting is of the process: what waits is written before it changes hands."""
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, Case())
        logs.OUTPUT.use(is_native=False)
        run.serve(way, Case())
        logs.OUTPUT.use(is_native=True)
        run.serve(way, Case())

    lines, run = written(ask)
    assert lines == [line_of(way, state) for state in run.states]


def test_nothing_is_kept_longer_than_needed() -> None:
    """Not the record of a line that is out, and not that of one that never will be."""
    gc.collect()  # ways of other tests know the lines that wait, too
    way = Way(is_native=True)
    counts: list[int] = []

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, Case())
        record = way.records[-1][0]
        counts.append(sys.getrefcount(record))
        assert logs.OUTPUT.flush(5)
        counts.append(sys.getrefcount(record))
        opened(run, way)
        run.serve(way, Case())
        record = way.records[-1][0]
        logs.OUTPUT._reset()
        run.serve(way, Case())  # the way lets go of what it knew
        counts.append(sys.getrefcount(record))

    written(ask)
    assert counts[1] == counts[2] == counts[0] - 1


def test_threads_may_write_what_waits() -> None:
    """While requests end, lines are written by others; each comes once, and those of a thread in order."""
    way = Way(is_native=True)
    is_over = threading.Event()

    def flush() -> None:
        while not is_over.is_set():
            logs.OUTPUT.flush(5)

    def ask(run: Run) -> None:
        threads = [threading.Thread(target=flush) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(3000):
                run.serve(way, LATER["a query"] if number % 7 == 0 else Case())
        finally:
            is_over.set()
            for thread in threads:
                thread.join()

    lines, run = written(ask)
    assert sorted(lines) == sorted(line_of(way, state) for state in run.states)
    assert any(run.put_off)


def test_many_wait() -> None:
    """As many as a turn of the loop brings, in memory that is used again."""
    way = Way(is_native=True)

    def ask(run: Run) -> None:
        for _ in range(3):
            for _ in range(1000):
                run.serve(way, Case())
            assert logs.OUTPUT.flush(5)

    lines, run = written(ask)
    assert lines == [line_of(way, state) for state in run.states]
    assert sum(run.put_off) > 2980


def test_secrets_stay_inside() -> None:
    """A line that is made later is redacted as one that is made at once."""
    way = Way(is_native=True, redactor=lambda: Redactor(("colour",)))
    case = Case(scope=lambda: scope_of(query_string=b"colour=mauve&a=b"))

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, case)
        run.serve(way, case)

    lines, run = written(ask)
    assert run.put_off[-2:] == [True, True]
    assert "mauve" not in "".join(lines)
    assert "a=b" in lines[-1]


def test_a_logger_of_the_app_sees_no_other_order(caplog: pytest.LogCaptureFixture) -> None:
    """A warning of obskit's own about a line is no line in the middle of one."""
    way = Way(is_native=True)
    assert way.observer.lines is not None
    way.observer.lines._query = lambda _query: None  # type: ignore[method-assign,assignment,return-value]

    def ask(run: Run) -> None:
        opened(run, way)
        run.serve(way, LATER["a query"])

    with caplog.at_level(logging.WARNING, "obskit"):
        lines, _ = written(ask)
    assert all(line.endswith("\n") for line in lines)
    for line in lines:
        json.loads(line)


@pytest.mark.parametrize("is_native", [True, False])
def test_a_capture_has_them_at_once(is_native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while they wait; and none of those that waited when it began."""
    monkeypatch.setattr(requests, "THICK_S", 1e6)
    way = Way(is_native=is_native)
    seen: list[Any] = []

    def ask(run: Run) -> None:
        opened(run, way)
        with capture() as captured:
            for _ in range(5):
                run.serve(way, Case())
            seen.append([entry["trace_id"] for entry in captured.logs])
            run.serve(way, Case())
        seen.append([entry["trace_id"] for entry in captured.logs])

    lines, run = written(ask)
    traces = [state.trace_id for state in run.states]
    assert seen == [traces[3:8], traces[3:]]
    assert len(lines) == 9
