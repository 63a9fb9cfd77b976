"""The compiled module and Python serve every exchange alike, down to the byte; whatever comes, it neither falls nor leaks."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from both_ways import END, ROUTE, START, Case, Route, Way, differences, driven, json_lines, scope_of
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context

import obskit
from obskit.middleware.requests import CURRENT
from obskit.signals.context import BOUND, SLOTS

pytestmark = pytest.mark.needs("native")

TRACE, CALLER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NATIVE = "_NativeExchange"


@pytest.fixture(autouse=True, scope="module")
def _json() -> Iterator[None]:
    with json_lines():
        yield


def headers(*pairs: tuple[Any, Any], **scope: Any) -> Any:
    return lambda: scope_of(headers=[(b"host", b"shop"), *pairs], **scope)


def with_scope(**more: Any) -> Any:
    return lambda: scope_of(**more)


def caller(text: str, *more: tuple[bytes, bytes]) -> Any:
    return headers((b"traceparent", text.encode("latin-1")), *more)


class Unequal(str):
    """A key that is found in its place, and cannot be compared."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("not to be compared")


class Emptying(str):
    """A key that empties its dict where it is compared."""

    __slots__ = ()
    __hash__ = str.__hash__
    scope: Any = None

    def __eq__(self, other: object) -> bool:
        scope, Emptying.scope = Emptying.scope, None
        if scope is not None:
            scope["headers"].clear()
            scope.clear()
        return False


class Doubtful:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("neither")


class Loud(int):
    """A number that says something else."""

    def __str__(self) -> str:
        return "two hundred"

    def __format__(self, _spec: str) -> str:
        return "2e2"


class Text(str):
    __slots__ = ()


class OtherDict(dict):
    pass


def body(**more: Any) -> tuple[str, Any]:
    return "send", lambda: {"type": "http.response.body", **more}


def evil_scope(key: str) -> Any:
    def make() -> Any:
        scope = scope_of(**{key: ...})
        scope[Unequal(key)] = "x"
        return scope

    return make


def raising(kind: type[BaseException]) -> Any:
    def locate(_scope: Any) -> str:
        raise kind("of locate")

    return locate


def touching(scope: Any) -> str:
    scope["obskit.request"].span.set_attribute("touched", 1)
    return "/touched"


def binding(_scope: Any) -> str:
    obskit.bind(user_id="u-1")
    return "/bound"


def emptying(scope: Any) -> str:
    template = scope["route"].path if "route" in scope else "/gone"
    scope.clear()
    return template


SCOPES = {
    "plain": scope_of,
    "a query": with_scope(query_string=b"q=1&token=hunter2hunter2&x=%22"),
    "a long query": with_scope(query_string=b"q=" + b"1" * 5000, headers=[(b"referer", b"http://x/" + b"y" * 3000)]),
    "a query of latin-1": with_scope(query_string=b"q=\xff\x00\n"),
    "no query": with_scope(query_string=...),
    "a query that is none": with_scope(query_string=None),
    "a query that is text": with_scope(query_string="q=1"),
    "a query that is a bytearray": with_scope(query_string=bytearray(b"q=1")),
    "a method of old": with_scope(method="HEAD"),
    "an unknown method": with_scope(method="BREW"),
    "a method in small letters": with_scope(method="get"),
    "a long method": with_scope(method="G" * 300),
    "no method": with_scope(method=...),
    "a method that is no str": with_scope(method=Text("GET")),
    "https": with_scope(scheme="https"),
    "ws on http": with_scope(scheme="ws"),
    "wss on http": with_scope(scheme="wss"),
    "no scheme": with_scope(scheme=...),
    "a scheme that is none": with_scope(scheme=None),
    "no path": with_scope(path=...),
    "an empty path": with_scope(path=""),
    "a path without a slash": with_scope(path="a/b"),
    "a long segment": with_scope(path="/" + "a" * 13),
    "a segment just short enough": with_scope(path="/" + "a" * 12),
    "21 segments": with_scope(path="/a" * 21),
    "20 segments": with_scope(path="/a" * 20),
    "a path with a quote": with_scope(path='/a"b\\c'),
    "a path with a line end": with_scope(path="/a\n"),
    "a path that is not ASCII": with_scope(path="/h\u00e4\u2028\U0001f600"),
    "a path with a lone surrogate": with_scope(path="/a\udcff"),
    "a path with a zero": with_scope(path="/a\x00b"),
    "a very long path": with_scope(path="/" + "a/b" * 2000),
    "a path that is no str": with_scope(path=Text("/a")),
    "a path that is bytes": with_scope(path=b"/a"),
    "no client": with_scope(client=...),
    "a client that is none": with_scope(client=None),
    "an empty client": with_scope(client=()),
    "a client that is a list": with_scope(client=["10.0.0.1", 1]),
    "a client without a port": with_scope(client=("10.0.0.1",)),
    "a client of IPv6": with_scope(client=("fe80::1%eth0", 1)),
    "a client that is a number": with_scope(client=(5, 1)),
    "a client that is a long text": with_scope(client=("x" * 65, 1)),
    "a client that is no ASCII": with_scope(client=('\u00e4\udcff"', 1)),
    "a client without a name": with_scope(client=("", 1)),
    "a client that is none inside": with_scope(client=(None, 1)),
    "a root path": with_scope(root_path="/base", route=ROUTE),
    "a root path that is none": with_scope(root_path=None, route=ROUTE),
    "a root path that is doubtful": with_scope(root_path=Doubtful()),
    "no root path": with_scope(root_path=..., route=ROUTE),
    "a route": with_scope(route=ROUTE),
    "a route that is none": with_scope(route=None),
    "a route of FastAPI": with_scope(route=ROUTE, fastapi={"effective_route_context": ROUTE}),
    "a route of FastAPI without a context": with_scope(route=ROUTE, fastapi={}),
    "a route of FastAPI, of something else": with_scope(route=ROUTE, fastapi=[1]),
    "a template that is not ASCII": with_scope(route=Route('/\u00e4/{b}"')),
    "a template with a lone surrogate": with_scope(route=Route("/\udcff")),
    "HTTP/2": with_scope(http_version="2"),
    "no version": with_scope(http_version=...),
    "a version that is none": with_scope(http_version=None),
    "no headers": with_scope(headers=[]),
    "headers missing": with_scope(headers=...),
    "headers in a tuple": with_scope(headers=((b"host", b"shop"),)),
    "headers of lists": with_scope(headers=[[b"host", b"shop"]]),
    "headers of three": with_scope(headers=[(b"host", b"shop", b"x")]),
    "headers of text": with_scope(headers=[("host", "shop")]),
    "headers of bytearrays": with_scope(headers=[(b"host", bytearray(b"shop"))]),
    "headers that are a generator": lambda: scope_of(headers=iter([(b"host", b"shop")])),
    "a header twice": headers((b"user-agent", b"one"), (b"user-agent", b"two")),
    "a header twice, empty at last": headers((b"user-agent", b"one"), (b"user-agent", b"")),
    "names in capitals": headers((b"User-Agent", b"one")),
    "names of the same length": headers((b"hose", b"1"), (b"referee", b"2"), (b"user-agend", b"3"), (b"x" * 21, b"4")),
    "a long user agent": headers((b"user-agent", b"a" * 513)),
    "a user agent of latin-1": headers((b"user-agent", b'\xff\x85\x00"\\\n')),
    "a user agent with a secret": headers((b"user-agent", b"x password=hunter2")),
    "a long host": lambda: scope_of(headers=[(b"host", b"h" * 600)]),
    "a host of latin-1": lambda: scope_of(headers=[(b"host", b'\xe4"')]),
    "a referrer": headers((b"referer", b"https://example.org/?token=abc&x=\xff")),
    "a content length": headers((b"content-length", b"17")),
    "a content length of 0": headers((b"content-length", b"0")),
    "a content length with zeros": headers((b"content-length", b"007")),
    "a content length of 15 digits": headers((b"content-length", b"9" * 15)),
    "a content length of 16 digits": headers((b"content-length", b"9" * 16)),
    "a content length below 0": headers((b"content-length", b"-1")),
    "a content length with a zero byte": headers((b"content-length", b"1\x002")),
    "a content length in another script": headers((b"content-length", "\u0663".encode())),
    "a content length with blanks": headers((b"content-length", b" 1")),
    "a caller": caller(f"00-{TRACE}-{CALLER_SPAN}-01"),
    "an unsampled caller": caller(f"00-{TRACE}-{CALLER_SPAN}-00"),
    "a caller with more flags": caller(f"00-{TRACE}-{CALLER_SPAN}-0f"),
    "a caller with other flags": caller(f"00-{TRACE}-{CALLER_SPAN}-0e"),
    "a caller with flags above": caller(f"00-{TRACE}-{CALLER_SPAN}-11"),
    "a caller with states": caller(f"00-{TRACE}-{CALLER_SPAN}-01", (b"tracestate", b"a=1,b=\xff")),
    "a caller with long states": caller(f"00-{TRACE}-{CALLER_SPAN}-01", (b"tracestate", b"a=" + b"1" * 600)),
    "states without a caller": headers((b"tracestate", b"a=1")),
    "a caller of a later version": caller(f"01-{TRACE}-{CALLER_SPAN}-01"),
    "a caller in capitals": caller(f"00-{TRACE.upper()}-{CALLER_SPAN}-01"),
    "a caller without a trace": caller(f"00-{'0' * 32}-{CALLER_SPAN}-01"),
    "a caller without a span": caller(f"00-{TRACE}-{'0' * 16}-01"),
    "a caller with blanks": caller(f" 00-{TRACE}-{CALLER_SPAN}-01 "),
    "a caller of the same length": caller("x" * 55),
    "a caller with a wrong dash": caller(f"00-{TRACE}_{CALLER_SPAN}-01"),
    "a caller of latin-1": caller(f"00-{TRACE}-{CALLER_SPAN}-0\xff"),
    "a caller of Google's": headers((b"x-cloud-trace-context", f"{TRACE}/5;o=1".encode())),
    "a bad caller and Google's": caller("x", (b"x-cloud-trace-context", f"{TRACE}/5;o=0".encode())),
    "a bad caller of Google's": headers((b"x-cloud-trace-context", b"\xff")),
    "a scope that is another dict": lambda: OtherDict(scope_of()),
    "seen by FastAPI": with_scope(**{"fastapi.telemetry": object}),
    "FastAPI's telemetry is off": with_scope(**{"fastapi.telemetry": None}),
    "the scope of an app inside": with_scope(**{"obskit.request": None}),
    **{f"{key} cannot be compared": evil_scope(key) for key in ("method", "scheme", "client", "query_string")},
    "http_version cannot be compared": evil_scope("http_version"),
    "root_path cannot be compared": evil_scope("root_path"),
    "headers cannot be compared": evil_scope("headers"),
    "fastapi.telemetry cannot be compared": evil_scope("fastapi.telemetry"),
    "fastapi cannot be compared": lambda: evil_scope("fastapi")() | {"route": ROUTE},
    "route cannot be compared": evil_scope("route"),
    "an inner root cannot be compared": lambda: evil_scope("obskit.root_path")() | {"route": ROUTE},
}


@pytest.mark.parametrize("name", SCOPES)
def test_a_scope_is_taken_alike(name: str) -> None:
    """Whatever the server passes: the same state, span, point, line, messages and exceptions come of it."""
    differences(Case(scope=SCOPES[name]))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a caller", {"sample_ratio": 0.5}),
        ("an unsampled caller", {"sample_ratio": 0.5, "trust_incoming_sampling": True}),
        ("a caller", {"sample_ratio": 0.0, "trust_incoming_sampling": True}),
        ("plain", {"sample_ratio": 0.0}),
        ("a query", {"access_log": False}),
        ("a query", {"environment": 'pro"d\u00e4'}),
        ("a query", {"project": ""}),
        ("a path that is not ASCII", {"excluded_urls": ("/h",)}),
        ("a path that is bytes", {"excluded_urls": ("/h",)}),
    ],
)
def test_settings_are_taken_alike(name: str, more: dict[str, Any]) -> None:
    """Sampling, what is excluded, and what lines say are the same."""
    differences(Case(scope=SCOPES[name]), **more)


def test_lines_for_people_are_alike() -> None:
    """On a terminal the line is Python's."""
    with json_lines("console"):
        (outcome, *_), _ = differences(Case(scope=SCOPES["a route"]))
    assert "GET /a/b 200" in outcome.lines[0]


# --------------------------------------------------------------------------- what app and server do

CASES = {
    "nothing": Case(steps=()),
    "no body": Case(steps=(START,)),
    "a body at first": Case(steps=(END,)),
    "a stream": Case(steps=(START, *[("body", b"x" * 1000, True)] * 5, END)),
    "a body after the end": Case(steps=(START, END, END)),
    "a start after the end": Case(steps=(START, END, ("start", 500))),
    "two starts": Case(steps=(START, ("start", 404), END)),
    "no body in the body": Case(steps=(START, body())),
    "a body that is none": Case(steps=(START, body(body=None))),
    "a bytearray": Case(steps=(START, body(body=bytearray(b"abc")))),
    "a memoryview": Case(steps=(START, body(body=memoryview(b"abc")))),
    "a text": Case(steps=(START, body(body="abc"))),
    "doubtful more": Case(steps=(START, ("try", body(body=b"abc", more_body=Doubtful())), END)),
    "more that is 1": Case(steps=(START, body(body=b"abc", more_body=1), END)),
    "more that is none": Case(steps=(START, body(body=b"abc", more_body=None))),
    "trailers": Case(
        steps=(("start", 200, {"trailers": True}), END, ("send", lambda: {"type": "http.response.trailers"}))
    ),
    "trailers that are doubtful": Case(steps=(("start", 200, {"trailers": Doubtful()}), END)),
    "a path to send": Case(steps=(START, ("send", lambda: {"type": "http.response.pathsend", "path": "/x"}))),
    "an early hint": Case(steps=(("send", lambda: {"type": "http.response.push"}), START, END)),
    "no type": Case(steps=(START, ("try", ("send", dict)), END)),
    "a type that is none": Case(steps=(START, ("try", ("send", lambda: {"type": None})), END)),
    "a type that is another str": Case(
        steps=(("send", lambda: {"type": Text("http.response.start"), "status": 200}), END)
    ),
    "a type that cannot be compared": Case(steps=(START, ("try", ("send", lambda: {Unequal("type"): 1})), END)),
    "a body that cannot be compared": Case(
        steps=(START, ("try", ("send", lambda: {"type": "http.response.body", Unequal("body"): b""})), END)
    ),
    "more that cannot be compared": Case(
        steps=(START, ("try", ("send", lambda: {"type": "http.response.body", Unequal("more_body"): 1})), END)
    ),
    "a status that cannot be compared": Case(
        steps=(("try", ("send", lambda: {"type": "http.response.start", Unequal("status"): 200})), START, END)
    ),
    "trailers that cannot be compared": Case(
        steps=(
            ("try", ("send", lambda: {"type": "http.response.start", "status": 200, Unequal("trailers"): 0})),
            END,
        )
    ),
    "a message that is another dict": Case(
        steps=(("send", lambda: OtherDict(type="http.response.start", status=200)), END)
    ),
    "a message that is a list": Case(steps=(START, ("try", ("send", list)), END)),
    "a message that is none": Case(steps=(START, ("try", ("send", lambda: None)), END)),
    "no status": Case(steps=(("try", ("send", lambda: {"type": "http.response.start"})), START, END)),
    **{
        f"status {status!r}": Case(steps=(("start", status), END))
        for status in (HTTPStatus.CREATED, HTTPStatus.BAD_GATEWAY, Loud(200), 0, -1, 99, 101, 204, 304, 404, 499)
    },
    **{
        f"status {status!r}": Case(steps=(("start", status), END))
        for status in (500, 503, 599, 1000, 2**31, 2**63, 10**30, -(10**30), "200", 200.0, None)
    },
    "an exception": Case(steps=(("raise", lambda: ValueError("no")),)),
    "an exception after the start": Case(steps=(START, ("raise", lambda: ValueError("no")))),
    "an exception after the end": Case(steps=(START, END, ("raise", lambda: ValueError("no")))),
    "an exception after a server error": Case(steps=(("start", 500), END, ("raise", lambda: ValueError("no")))),
    "the end of the process": Case(steps=(START, END, ("raise", lambda: SystemExit(3)))),
    "an interrupt": Case(steps=(START, ("raise", KeyboardInterrupt))),
    "cancelled": Case(steps=(START, ("raise", asyncio.CancelledError))),
    "a generator's exit": Case(steps=(START, ("raise", GeneratorExit))),
    "bound": Case(steps=(("bind", {"user_id": "u-1", "user_tier": "free", "cart": 'c"\udcff'}), START, END)),
    "bound and taken back": Case(steps=(("bind", {"user_id": None}), START, END)),
    "bound after the end": Case(steps=(START, END, ("bind", {"user_id": "u-1"}))),
    "bound around": Case(around=lambda: BOUND.set({"job": "j-1"})),
    "something around": Case(around=lambda: CURRENT.set(Context({"k": 1}))),
    "telemetry is suppressed around": Case(around=lambda: CURRENT.set(Context({"suppress_instrumentation": True}))),
    "a route of its own": Case(steps=(("route", '/mine/{"x"}'), START, END)),
    "a long route of its own": Case(steps=(("route", "/\u00e4" * 300), START, END)),
    **{
        f"a route that is {kind}": Case(steps=(("route", value), START, END))
        for kind, value in (("bytes", b"x"), ("a list", []))
    },
    "a route of the router": Case(steps=(("scope", "route", ROUTE), START, END)),
    "a touched span": Case(steps=(("touch",), START, END)),
    "a span touched after the end": Case(steps=(START, END, ("touch",))),
    "received": Case(steps=(("receive",), START, END)),
    "gone before the start": Case(steps=(("receive",), ("receive",), START, END)),
    "gone after the end": Case(steps=(START, END, ("receive",), ("receive",))),
    "gone before a HEAD's end": Case(scope=with_scope(method="HEAD"), steps=(START, ("receive",), ("receive",))),
    "gone, says the server": Case(has_left=True),
    "gone, says an exception of the server": Case(server_error=lambda: ConnectionResetError("gone"), server_fails_at=2),
    "gone at the start": Case(server_error=lambda: ConnectionResetError("gone")),
    "the server fails": Case(server_error=lambda: ValueError("server"), server_fails_at=2),
    "the server ends the process": Case(server_error=lambda: SystemExit(1), server_fails_at=2),
    "the server's receive fails": Case(steps=(("receive",), START, END), receives=(lambda: ValueError("receive"),)),
    "the locator fails": Case(locate=raising(ValueError)),
    "the locator ends the process": Case(locate=raising(SystemExit)),
    "the locator touches the span": Case(locate=touching),
    "the locator binds": Case(locate=binding),
    "the locator gives None": Case(locate=lambda _: None),
    "the locator gives a number": Case(locate=lambda _: 5),
    "the locator gives another str": Case(locate=lambda _: Text("/x")),
    "AI calls": Case(steps=(("state", "ai_calls", 2), ("state", "ai_cost_usd", 0.5), START, END)),
    "the request's headers change": Case(steps=(("scope", "headers", None), START, END)),
    "the scope's root changes": Case(
        scope=with_scope(route=ROUTE),
        steps=(("scope", "root_path", "/in"), ("scope", "obskit.root_path", "/in"), START, END),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_exchange_ends_alike(name: str) -> None:
    """Whatever app and server do: the same state, span, point, line, messages and exceptions come of it."""
    differences(CASES[name])


def test_a_plain_request_is_served_natively() -> None:
    """So are errors of the client, streams, and a request with a caller and a query; what is odd is left to Python."""
    for name in ("plain", "a query", "a caller", "a route", "a content length"):
        assert set(differences(Case(scope=SCOPES[name]))[1]) == {NATIVE}, name
    assert set(differences(CASES["a stream"])[1]) == {NATIVE}
    assert NATIVE not in differences(Case(scope=SCOPES["headers of lists"]))[1]


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_that_is_emptied_or_overwritten_is_no_fall(slot: str) -> None:
    """An app that breaks the state of its request gets what Python gives it, not the end of the process."""
    values = (None, b"x", "\udcff", 10**30, -7, 1.5, [], object)
    broken = [("empty", slot), *(("state", slot, value) for value in values)]
    for step in broken:
        for steps in ((step, START, END), (START, step, END), (START, ("try", ("body", b"", True)), step, END)):
            way = Way(is_native=True)
            for _ in range(3):
                with contextlib.redirect_stdout(io.StringIO()):
                    served(way, Case(scope=SCOPES["a route"], steps=steps))


def test_what_runs_meanwhile_may_change_everything() -> None:
    """Keys whose comparison empties the scope or the headers, and a locator that does, harm nobody."""
    for key in ("method", "path", "http_version", "client", "query_string", "root_path", "route", "fastapi"):
        way = Way(is_native=True, locate=emptying)
        for _ in range(3):
            scope = scope_of(**{key: ...}, route=Route("/" + "x" * 30)) if key != "route" else scope_of()
            scope[Emptying(key)] = "x" * 40
            Emptying.scope = scope
            served(way, Case(scope=lambda scope=scope: scope))


def served(way: Way, case: Case) -> BaseException | None:
    """Serve a case without looking at what comes of it."""
    from both_ways import App, Server

    server, way.app = Server(case), App(case.steps)
    return driven(way.middleware(case.scope(), server.receive, server.send))


# --------------------------------------------------------------------------- drawn

TEXTS = st.text(st.characters(), max_size=30)
PATHS = st.one_of(st.from_regex(r"(/[\w.~-]{0,13}){0,21}", fullmatch=True), TEXTS.map(lambda text: f"/{text}"))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"host",
                b"user-agent",
                b"referer",
                b"content-length",
                b"traceparent",
                b"tracestate",
                b"x-cloud-trace-context",
            ]
        ),
        st.one_of(
            st.binary(max_size=60),
            st.integers(0, 10**17).map(lambda number: str(number).encode()),
            st.from_regex(rb"0[01]-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9a-f]", fullmatch=True),
            st.from_regex(rb"[0-9a-f]{32}/[1-9][0-9]{0,19};o=[01]", fullmatch=True),
        ),
    ),
    max_size=6,
)
STATUSES = st.one_of(st.integers(-1, 700), st.sampled_from([*HTTPStatus]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), STATUSES),
        st.tuples(st.just("body"), st.binary(max_size=50), st.booleans()),
        st.just(("receive",)),
        st.just(("touch",)),
        st.tuples(st.just("route"), TEXTS),
        st.tuples(st.just("bind"), st.fixed_dictionaries({"user_id": TEXTS})),
        st.just(("raise", lambda: ValueError("drawn"))),
        st.tuples(st.just("state"), st.sampled_from(["referrer", "host", "query"]), TEXTS),
        st.tuples(
            st.just("state"), st.sampled_from(["ai_calls", "ai_input_tokens", "request_bytes"]), st.integers(0, 9)
        ),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(
    scope=st.fixed_dictionaries(
        {
            "method": st.sampled_from(["GET", "POST", "HEAD", "BREW"]),
            "path": PATHS,
            "query_string": st.binary(max_size=40),
            "scheme": st.sampled_from(["http", "https"]),
            "headers": HEADERS,
            "client": st.one_of(st.none(), st.tuples(TEXTS, st.integers(0, 9))),
            "http_version": st.sampled_from(["1.0", "1.1", "2"]),
            "route": st.one_of(st.none(), TEXTS.map(Route)),
        }
    ),
    steps=STEPS,
    is_plain=st.booleans(),
)
def test_drawn_exchanges_are_alike(scope: dict[str, Any], steps: list[Any], is_plain: bool) -> None:
    """For any path, header, query, template and order of steps both ways leave the same behind."""
    done = (START, END) if is_plain else ()
    differences(Case(scope=lambda: scope_of(**scope), steps=(*steps, *done)), runs=2)
