"""The compiled module keeps nothing, frees nothing that is in use, and stands threads, forks, and whatever is raised."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import io
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from both_ways import END, ROUTE, START, App, Case, Route, Server, Way, differences, driven, json_lines, scope_of
from opentelemetry.context import Context

from obskit.middleware import asgi, native
from obskit.middleware.requests import CURRENT, SPAN_KEY
from obskit.signals import logs
from obskit.signals.context import BOUND, REQUEST, RequestState
from obskit.signals.durations import Cell
from obskit.signals.native import MODULE
from obskit.signals.redaction import Redactor
from obskit.signals.sampling import Policy
from obskit.signals.spans import RequestSpan

pytestmark = pytest.mark.needs("native")

MADE_PER_REQUEST = (RequestState, RequestSpan, Context, Server, App)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with json_lines(), contextlib.redirect_stdout(io.StringIO()):
        yield
        assert logs.OUTPUT.flush(5)


def serve(way: Way, case: Case) -> BaseException | None:
    """Serve a case without looking at what comes of it."""
    server, way.app = Server(case), App(case.steps)
    error = driven(way.middleware(case.scope(), server.receive, server.send))
    way.app = None
    return error


def streamed(count: int) -> tuple[Any, ...]:
    return (START, *[("body", b"x" * 100, True)] * count, END)


def keeping(scope: Any) -> None:
    """Make cycles of all that a request has."""
    scope["obskit.request"].bound["scope"] = scope


async def cyclic(scope: Any, _receive: Any, send: Any) -> None:
    keeping(scope)
    scope["send"] = send
    REQUEST.get().bound["send"] = send  # type: ignore[union-attr]


def fresh(**headers: bytes) -> Any:
    """Return a scope whose headers are new objects each time, as a server's are."""
    return lambda: scope_of(
        headers=[(name.replace("_", "-").encode(), bytes(bytearray(value))) for name, value in headers.items()],
        query_string=bytes(bytearray(b"q=1")),
        path=b"/a/b".decode(),
        http_version=b"1.1".decode(),
        root_path=b"".decode(),
        route=ROUTE,
    )


PLAIN = Case(scope=fresh(host=b"shop"))
KINDS = {
    "plain": PLAIN,
    "with a caller": Case(scope=fresh(traceparent=b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", tracestate=b"a=1")),
    "with an odd caller": Case(
        scope=fresh(traceparent=b"01-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", tracestate=b"a=1")
    ),
    "with Google's caller": Case(scope=fresh(x_cloud_trace_context=b"a" * 32 + b"/5;o=1")),
    "with all headers": Case(
        scope=fresh(host=b"shop", user_agent=b"x/1", referer=b"http://x/" + b"y" * 300, content_length=b"500"),
    ),
    "not found": Case(steps=(("start", 404), END)),
    "a stream": Case(steps=streamed(5)),
    "bound": Case(steps=(("bind", {"user_id": "u-1"}), START, END)),
    "failing": Case(steps=(("raise", lambda: ValueError("no")),)),
    "a server error": Case(steps=(("start", 503), END)),
    "disconnected": Case(steps=(("receive",), ("receive",), START, END)),
    "a server that is gone": Case(server_error=lambda: OSError("gone"), server_fails_at=2),
    "excluded": Case(scope=lambda: scope_of(path="/health")),
    "a path with a secret": Case(scope=lambda: scope_of(path="/token/" + "a" * 40)),
    "touched": Case(steps=(("touch",), START, END)),
    "left to Python": Case(scope=lambda: scope_of(headers=((b"host", b"shop"),))),
    "a cycle": Case(steps=(("inside", cyclic), START, END)),
    "a bad message": Case(steps=(START, ("try", ("send", dict)), END)),
    "an emptied slot": Case(steps=(START, ("empty", "path"), END)),
}


def census() -> Counter[str]:
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects())


def test_nothing_stays_behind() -> None:
    """After 20,000 requests of all kinds there are as many objects of each type, and blocks of memory, as after 2,000."""
    way = Way(is_native=True, excluded_urls=("^/health$",))
    text = io.StringIO()
    counts, blocks = [], []
    with contextlib.redirect_stdout(text):
        for number in (2000, 20_000):
            for _ in range(number // len(KINDS)):
                for case in KINDS.values():
                    serve(way, case)
                way.records.clear()
                way.exporter.clear()
                text.seek(0)
                text.truncate()
            counts.append(census())
            blocks.append(sys.getallocatedblocks())
    for name in (
        "RequestState",
        "RequestSpan",
        "_NativeExchange",
        "Server",
        "App",
        "Context",
        "tuple",
        "dict",
        "method",
    ):
        assert counts[1][name] <= counts[0][name] + 10, name
    assert counts[1].total() <= counts[0].total() + 500  # of each kind there were 1,176
    assert blocks[1] <= blocks[0] + 1000


@pytest.mark.parametrize("name", ["plain", "with a caller", "with all headers", "not found", "a stream", "bound"])
def test_a_plain_request_leaves_nothing_to_the_garbage_collector(name: str) -> None:
    """State, scope, span and exchange of each are gone with it; the last state of each series is the exemplar's."""
    way = Way(is_native=True)
    for _ in range(3):
        serve(way, KINDS[name])
    gc.collect()
    gc.disable()
    try:
        before = Counter(type(each) for each in gc.get_objects())
        for _ in range(100):
            serve(way, KINDS[name])
            way.records.clear()
        after = Counter(type(each) for each in gc.get_objects())
    finally:
        gc.enable()
    for kind in (*MADE_PER_REQUEST, asgi._NativeExchange):
        assert after[kind] <= before[kind], kind
    for kind in (dict, tuple, list):  # 100 scopes, contexts and records would be more
        assert after[kind] <= before[kind] + 50, kind


def test_shared_objects_are_neither_lost_nor_gained() -> None:
    """The reference counts of constants, types and what all requests share do not drift."""
    way = Way(is_native=True)
    series = way.observer.series
    for _ in range(3):
        for case in KINDS.values():
            serve(way, case)
    shared = [
        None,
        True,
        False,
        "",
        0,
        -1,
        0.0,
        "GET",
        "http",
        "http.response.start",
        "route",
        ROUTE,
        way.observer,
        way,
    ]
    shared += [
        *series.values(),
        *(part for each in series.values() for part in each),
        *way.observer.lines.agents.values(),
    ]
    shared += [way.middleware._way, way.observer.spans, way.observer.lines, asgi._NativeExchange, RequestState, Context]
    shared += [cell.buckets for cell in way.durations._cells.values()]
    shared += [
        RequestSpan,
        Cell,
        logs.OUTPUT,
        REQUEST,
        CURRENT,
        CURRENT.get(),
        BOUND.get(),
        way.middleware._known_routes,
        logs,
    ]
    shared += [name for name in dir(MODULE) if not name.startswith("__")]
    way.records.clear()
    way.exporter.clear()
    gc.collect()
    before = [sys.getrefcount(each) for each in shared]
    for _ in range(300):
        for case in KINDS.values():
            serve(way, case)
        way.records.clear()
        way.exporter.clear()
    gc.collect()
    drifts = [(each, sys.getrefcount(each) - was) for each, was in zip(shared, before, strict=True)]
    assert [(each, drift) for each, drift in drifts if abs(drift) > 100] == []


def test_a_collector_that_looks_at_every_object_harms_nothing() -> None:
    """Exchanges are alike where the garbage collector runs at each allocation."""
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for name in ("plain", "with a caller", "with all headers", "bound", "failing", "a cycle"):
            way = Way(is_native=True)
            for _ in range(3):
                serve(way, KINDS[name])
    finally:
        gc.set_threshold(*before)
    assert len(way.records) + len(way.exporter.get_finished_spans()) == 3


# --------------------------------------------------------------------------- what is raised within


class Ending(Redactor):
    """Is asked while a server ends at once: raises the first time that a request asks."""

    error: type[BaseException] = SystemExit
    asked: Any = None

    def query(self, query: str) -> str:
        self.end_once()
        return super().query(query)

    def end_once(self) -> None:
        if REQUEST.get() is not self.asked:
            self.asked = REQUEST.get()
            raise self.error("asked")


class Failing(Ending):
    error = ValueError


class EndingAgents(Ending):
    error = KeyboardInterrupt

    def text(self, text: str) -> str:
        self.end_once()
        return super().text(text)


def ending(kind: type[BaseException]) -> Any:
    """Return a locator that does so."""
    asked: list[Any] = []

    def locate(scope: Any) -> str:
        if scope["obskit.request"] not in asked:
            asked.append(scope["obskit.request"])
            raise kind("asked")
        return "/a/{b}"

    return locate


def submitting(kind: type[BaseException]) -> Any:
    def submit() -> None:
        raise kind("submit")

    return submit


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_the_pipeline_raises_goes_the_same_way(kind: type[BaseException]) -> None:
    """An exception is told once, and the end of the process reaches the server; the request is forgotten in any case."""
    (outcome, *_), _ = differences(PLAIN, submit=submitting(kind))
    assert (outcome.error == "None") is (kind is ValueError)
    assert bool(outcome.warnings) is (kind is ValueError)
    assert outcome.state["_source"] == ("bool", False)


@pytest.mark.parametrize("redactor", [Ending, Failing, EndingAgents])
def test_what_a_line_raises_goes_the_same_way(redactor: type[Redactor]) -> None:
    """The end of the process, raised while a line is put together, is not swallowed."""
    (outcome, *_), _ = differences(PLAIN, redactor=redactor)
    assert (outcome.error == "None") is (redactor is Failing)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_the_route_raises_goes_the_same_way(kind: type[BaseException]) -> None:
    """The end of the process, raised while the route is looked up, reaches the server from whichever way."""
    ways = [Way(is_native=is_native, locate=ending(kind)) for is_native in (True, False)]
    ours, reference = (way.ask(Case()) for way in ways)
    assert ours.error == reference.error == f"{kind.__name__}('asked')"
    assert ours.state["_source"] == reference.state["_source"] == ("bool", False)


class Undecided(Policy):
    """Cannot say which traces are exported."""

    error: type[BaseException] = ValueError

    def takes(self, trace_id: int) -> bool:
        raise self.error("undecided")


class Ended(Undecided):
    error = SystemExit


@pytest.mark.parametrize("policy", [Undecided, Ended])
def test_a_request_that_cannot_begin_is_served(policy: type[Policy]) -> None:
    """What fails before the app runs is told once, and the app serves; the end of the process reaches the server."""
    case = Case(steps=(START, END))
    ways = [Way(is_native=is_native, sample_ratio=0.5) for is_native in (True, False)]
    for way in ways:
        way.observer.spans.sampler = policy(0.5)  # type: ignore[union-attr]
    ours, reference = (way.ask(case) for way in ways)
    if policy is Ended:  # Python has marked the scope by then
        reference.scope = ours.scope
    assert ours == reference
    assert (ours.error == "None", len(ours.got), len(ours.warnings)) == (
        (True, 2, 1) if policy is Undecided else (False, 0, 0)
    )
    assert REQUEST.get() is None


def test_failures_leave_nothing_behind() -> None:
    """Requests that cannot begin, or cannot be ended, free all that they have; so does a path that is not wanted."""
    undecided = Way(is_native=True, sample_ratio=0.5)
    undecided.observer.spans.sampler = Undecided(0.5)  # type: ignore[union-attr]
    ways = [undecided, Way(is_native=True, submit=submitting(ValueError)), Way(is_native=True, redactor=Failing)]
    given = arguments()
    shared = [ValueError, Policy, Undecided, ROUTE, *(way.observer for way in ways), RequestState.status, Cell.buckets]
    shared += [RequestState, RequestSpan, Context, asgi._NativeExchange, *given.values()]
    found = []
    for number in (100, 1000):
        for _ in range(number):
            for way in ways:
                serve(way, PLAIN)
                way.records.clear()
            MODULE.Path(**given)  # type: ignore[union-attr]
        for cell in (cell for way in ways for cell in way.durations._cells.values()):
            cell.fold()
        found.append((census(), [sys.getrefcount(each) for each in shared], sys.getallocatedblocks()))
    (objects, references, blocks), (later, more, most) = found
    for name in ("RequestState", "RequestSpan", "_NativeExchange", "Context", "tuple", "dict", "Path", "ValueError"):
        assert later[name] <= objects[name] + 50, name
    assert [each for each, was, now in zip(shared, references, more, strict=True) if abs(now - was) > 100] == []
    assert most <= blocks + 700


def test_lines_that_wait_for_each_other_leave_nothing_behind() -> None:
    """Where a loop runs, lines that come thick and fast share a write, and none of what that takes stays."""
    way, text = Way(is_native=True), io.StringIO()

    async def served(number: int) -> tuple[list[int], int]:
        for _ in range(number // 2):
            for _ in range(2):
                serve(way, PLAIN)
            await asyncio.sleep(0)
            assert logs.OUTPUT.flush(5)
            lines.append(text.getvalue().count("\n"))
            text.seek(0)
            text.truncate()
            way.records.clear()
        for cell in way.durations._cells.values():
            cell.fold()
        gc.collect()
        shared = (logs.OUTPUT, logs.OUTPUT._gathered, asyncio.get_running_loop(), way.observer, 0.05, None)
        return [sys.getrefcount(each) for each in shared], sys.getallocatedblocks()

    async def both() -> list[tuple[list[int], int]]:
        return [await served(200), await served(2000)]

    lines: list[int] = []
    with contextlib.redirect_stdout(text):
        (references, blocks), (more, most) = asyncio.run(both())
    assert set(lines) == {2}
    assert [now - was for was, now in zip(references, more, strict=True) if abs(now - was) > 100] == []
    assert most <= blocks + 700


def test_known_routes_are_of_limited_number() -> None:
    """An app that makes routes as it runs does not fill the memory with them."""
    way = Way(is_native=True)
    for _ in range(2100):
        case = Case(scope=lambda: scope_of(route=Route("/a/{b}")))
        serve(way, case)
    assert 90 < len(way.middleware._known_routes) <= 2000
    assert {route for _, _, route in way.middleware._known_routes.values()} == {"/a/{b}"}


def test_durations_that_are_shared_later_are_recorded_there_too() -> None:
    """Cells that are known already, and another reader of the metrics then wants, go on counting."""
    way = Way(is_native=True)
    for _ in range(3):
        serve(way, PLAIN)
    way.durations.share()
    serve(way, PLAIN)
    assert list(way._counts().values()) == [4]


# --------------------------------------------------------------------------- contexts, threads, processes


class Pause:
    """Lets whoever drives the coroutine do something meanwhile."""

    def __await__(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize("is_native", [True, False])
def test_a_request_may_end_in_another_context(is_native: bool) -> None:
    """Steps that run in copies of the context, as generators' do in a pool of threads, undo what they can, and no more."""
    way = Way(is_native=is_native)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await Pause()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})

    for _ in range(3):
        way.app, server = app, Server(PLAIN)
        first, second = contextvars.copy_context(), contextvars.copy_context()
        running = way.middleware(scope_of(), server.receive, server.send)
        first.run(running.send, None)
        with pytest.raises(StopIteration):
            second.run(running.send, None)
        assert isinstance(first.get(REQUEST), RequestState)
        assert second.get(REQUEST) is None
    assert len(way.records) == 3


def test_threads_share_a_middleware() -> None:
    """Requests of many threads, and of an event loop in each, keep to themselves, and none is lost."""
    way = Way(is_native=True)
    seen: list[str] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        state = REQUEST.get()
        assert state is scope["obskit.request"]
        seen.append(state.trace_id + state.span_id)
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})
        assert REQUEST.get() is state

    way.app = app
    errors: list[BaseException] = []

    async def requests() -> None:
        for _ in range(20):
            servers = [Server(PLAIN) for _ in range(10)]
            await asyncio.gather(*(way.middleware(PLAIN.scope(), each.receive, each.send) for each in servers))

    def work() -> None:
        try:
            asyncio.run(requests())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert errors == []
    assert len(set(seen)) == len(seen) == len(way.records) == 1200
    assert list(way._counts().values()) == [1200]


def test_an_app_inside_an_app() -> None:
    """The same scope is the outer one's; a request of another kind within a request has a span of its own."""
    inner, outer = Way(is_native=True), Way(is_native=True)
    for is_same in (True, False):

        async def within(scope: Any, receive: Any, send: Any, is_same: bool = is_same) -> None:
            inner.app = App((START, END))
            await inner.middleware(scope if is_same else scope_of(), receive, send)

        for _ in range(3):
            assert serve(outer, Case(steps=(("inside", within),))) is None
    assert len(outer.records) == 6
    assert [list(way._counts().values()) for way in (inner, outer)] == [[3], [6]]


FORKING = """
import os, sys
sys.path.insert(0, sys.argv[1])
from both_ways import END, START, App, Case, Server, Way, driven, json_lines, scope_of
way = Way(is_native=True, access_log=False)
def ask():
    way.app, server = App((START, END)), Server(Case())
    assert driven(way.middleware(scope_of(), server.receive, server.send)) is None
    assert way.app.served_by == "_NativeExchange"
    os.write(1, f"{way.app.state.trace_id} {way.app.state.span_id}\\n".encode())
ask()
for _ in range(3):
    if not os.fork():
        ask()
        os._exit(0)
    assert os.wait()[1] == 0
ask()
"""


def test_children_have_ids_of_their_own() -> None:
    """Processes that are forked off one after the other do not go on with the same ids."""
    command = [sys.executable, "-c", FORKING, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=os.environ)
    traces, spans = zip(*(line.split() for line in done.stdout.split("\n") if line), strict=True)
    assert (len(set(traces)), len(set(spans))) == (5, 5)


# --------------------------------------------------------------------------- the module by itself


def arguments() -> dict[str, Any]:
    """Return what a path is made of."""
    return native.parts(Way(is_native=True).observer, asgi._NativeExchange, CURRENT, SPAN_KEY, 0.0)


def test_nothing_is_made_half() -> None:
    """Neither an exchange nor a path can be had without what it needs, and a wrong argument is refused."""
    module = MODULE
    assert module is not None
    for make in (module.Exchange, asgi._NativeExchange, type("More", (module.Exchange,), {}), module.Path):
        with pytest.raises(TypeError):
            make()
        with pytest.raises(TypeError):
            make.__new__(make)
    good = arguments()
    assert isinstance(module.Path(**good), module.Path)
    for name in ("state_type", "cell_type", "exchange_type", "series", "agents", "starts"):
        for wrong in (None, int, object()):
            with pytest.raises((TypeError, AttributeError)):
                module.Path(**good | {name: wrong})
    for name in ("request_var", "bound_var", "otel_var", "takes_all", "thick_s"):
        with pytest.raises(TypeError):
            module.Path(**{key: value for key, value in good.items() if key != name})
    with pytest.raises(TypeError):
        module.Path(**good).begin({}, None)
    with pytest.raises(ValueError, match="32 bytes"):
        module.seed(b"too few")


def test_the_garbage_collector_sees_all_that_they_hold() -> None:
    """Whatever an exchange or a path refers to may be part of a cycle."""
    given = arguments()
    path = MODULE.Path(**given)  # type: ignore[union-attr]
    held = {id(each) for each in gc.get_referents(path)}
    assert {name for name, each in given.items() if id(each) not in held} == {"takes_all", "thick_s"}
    receive, send, routes, scope = object(), object(), {}, scope_of()  # type: ignore[var-annotated]
    exchange = path.begin(scope, receive, send, None, {}, routes)
    held = {id(each) for each in gc.get_referents(exchange)}
    state = scope["obskit.request"]
    parts = (path, given["observer"], state, receive, send, routes, type(exchange))
    assert [each for each in parts if id(each) not in held] == []
    assert [type(each).__name__ for each in gc.get_referents(exchange)].count("Token") == 2
    exchange.leave()
    assert "Token" not in [type(each).__name__ for each in gc.get_referents(exchange)]
    assert not any(each is scope for each in gc.get_referents(state))


def test_a_path_takes_anything_for_a_scope() -> None:
    """What is no scope is left to Python."""
    path = MODULE.Path(**arguments())  # type: ignore[union-attr]
    least = {"type": "http", "headers": [], "path": "/"}
    for scope in (
        None,
        5,
        [],
        {},
        {"type": None},
        least | {"headers": None},
        {"type": "http", "path": "/"},
        dict(least),
    ):
        found = path.begin(scope, None, None, None, {}, {})
        assert (found is not None) is (isinstance(scope, dict) and least.items() <= scope.items())
        if found is not None:
            assert scope == {**least, **{key: scope[key] for key in scope if "." in key}}
            found.leave()
    with contextlib.suppress(TypeError):
        path.begin(dict(least), None, None, None, None, None)


def test_a_library_of_other_classes_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Where an object is not of the type that the library knows, Python serves, and one line says why."""
    way = Way(is_native=True)
    way.observer.series = dict.fromkeys(())
    assert native.way(way.observer, asgi._NativeExchange, CURRENT, SPAN_KEY, 0.001) is not None
    way.observer.series = Counter()
    assert native.way(way.observer, asgi._NativeExchange, CURRENT, SPAN_KEY, 0.001) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "does not fit" in caplog.text


def test_a_referrer_is_not_kept() -> None:
    """A URL that may hold a secret is forgotten with its request; a host that comes again and again is one text."""
    way, referrer, host = (
        Way(is_native=True),
        bytes(bytearray(b"https://a.example/?token=t")),
        bytes(bytearray(b"shop")),
    )
    before = sys.getrefcount(referrer)
    scope = scope_of(headers=[(b"host", host), (b"referer", referrer)])
    hosts = []
    for _ in range(3):  # the first of a series ends in Python
        case = Case(scope=lambda: dict(scope), steps=(START, END))
        assert serve(way, case) is None
        hosts.append(way.records[-1][0][13])
    assert hosts == ["shop"] * 3
    assert hosts[1] is hosts[2]
    del scope["headers"]
    gc.collect()
    assert sys.getrefcount(referrer) == before
