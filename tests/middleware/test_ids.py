"""The ids of a request that the compiled module serves are texts for whoever looks, and only then."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from both_ways import END, START, App, Case, Server, Way, driven, json_lines, scope_of

from obskit.signals import logs
from obskit.signals.context import SLOTS, RequestState

pytestmark = pytest.mark.needs("native")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLED = {
    "sampled": (f"00-{TRACE}-{PARENT}-01", "", (TRACE, PARENT, True, "")),
    "not sampled": (f"00-{TRACE}-{PARENT}-00", "", (TRACE, PARENT, False, "")),
    "a trace of 64 bits": (f"00-{'0' * 16}{TRACE[16:]}-{PARENT}-01", "", ("0" * 16 + TRACE[16:], PARENT, True, "")),
    "the other half": (f"00-{TRACE[:16]}{'0' * 16}-{PARENT}-01", "", (TRACE[:16] + "0" * 16, PARENT, True, "")),
    "with states": (f"00-{TRACE}-{PARENT}-01", "a=1", (TRACE, PARENT, True, "a=1")),
    "a trace of noughts": (f"00-{'0' * 32}-{PARENT}-01", "", None),
    "a parent of noughts": (f"00-{TRACE}-{'0' * 16}-01", "", None),
    "capitals": (f"00-{TRACE.upper()}-{PARENT}-01", "", None),
    "too short": (f"00-{TRACE}-{PARENT}-1", "", None),
    "nothing": ("", "a=1", None),
}


class Slots:
    """As `RequestState` is without the module."""

    __slots__ = SLOTS


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with json_lines(), contextlib.redirect_stdout(io.StringIO()):
        yield
        assert logs.OUTPUT.flush(5)


def scope(traceparent: str = "", tracestate: str = "") -> Any:
    headers = [(b"host", b"shop")]
    if traceparent:
        headers.append((b"traceparent", traceparent.encode()))
    if tracestate:
        headers.append((b"tracestate", tracestate.encode()))
    return scope_of(headers=headers)


def served(way: Way, case: Case) -> RequestState:
    server, way.app = Server(case), App(case.steps)
    app = way.app
    assert driven(way.middleware(case.scope(), server.receive, server.send)) is None
    assert app.state is not None
    return app.state  # type: ignore[no-any-return]


def tried(state: Any, what: str, name: str) -> Any:
    try:
        if what == "set":
            return setattr(state, name, "x")
        return delattr(state, name) if what == "del" else getattr(state, name)
    except AttributeError:
        return AttributeError


@pytest.mark.parametrize("name", ["trace_id", "span_id"])
def test_they_are_read_set_and_deleted_as_slots(name: str) -> None:
    way = Way(is_native=True)
    for steps in itertools.product(("get", "set", "del"), repeat=4):
        state, reference = served(way, Case()), Slots()
        for each in ("trace_id", "span_id"):
            twin = served(way, Case())
            assert len(getattr(twin, each)) == {"trace_id": 32, "span_id": 16}[each]
            assert getattr(twin, each) is getattr(twin, each)
        first = [tried(state, each, name) for each in steps[: steps.index("get") + 1]] if "get" in steps else []
        setattr(reference, name, first[-1] if len(first) == 1 else "?")
        wanted = [tried(reference, each, name) for each in steps]
        ours = first + [tried(state, each, name) for each in steps[len(first) :]]
        assert ours == wanted, steps


def test_all_slots_can_be_read_set_and_deleted() -> None:
    """Where nobody has begun the request, too."""
    state = RequestState()
    for name in SLOTS:
        setattr(state, name, "x")
        assert getattr(state, name) == "x"
        delattr(state, name)
        with pytest.raises(AttributeError, match=name):
            getattr(state, name)
        with pytest.raises(AttributeError, match=name):
            delattr(state, name)
    with pytest.raises(AttributeError):
        state.other = 1  # type: ignore[attr-defined]
    assert set(SLOTS) <= set(dir(state))


@pytest.mark.parametrize("name", CALLED)
def test_the_caller_is_who_the_headers_say(name: str) -> None:
    """To whoever asks the span, before the end and after it; and in what is kept."""
    parent, states, caller = CALLED[name]
    way, asked = Way(is_native=True), []

    class Asking(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            span = scope["obskit.request"].span
            asked.append((span._caller, span._caller))
            await super().__call__(scope, receive, send)

    for number in range(4):
        case = Case(scope=lambda: scope(parent, states))
        server = Server(case)
        way.app = app = (Asking if number % 2 else App)((START, END))
        assert driven(way.middleware(case.scope(), server.receive, server.send)) is None
        record, _ = way.records[-1]
        state = app.state
        assert state is not None
        assert record[:2] == (state.trace_id, state.span_id)
        assert record[3:6] == ((*caller[1:3], caller[3]) if caller else ("", False, ""))
        if caller:
            assert state.trace_id == caller[0]
        else:
            assert len(state.trace_id) == 32
            assert int(state.trace_id, 16)
    assert asked == [(caller, caller)] * 2
    assert all(first is again for first, again in asked)


def test_a_trace_that_the_app_sets_is_the_records() -> None:
    """While the caller stays who it was."""
    way = Way(is_native=True)
    called = Case(scope=lambda: scope(f"00-{TRACE}-{PARENT}-01"), steps=(("state", "trace_id", "c" * 32), START, END))
    for _ in range(3):
        served(way, called)
    record, _ = way.records[-1]
    assert record[0] == "c" * 32
    assert record[3] == PARENT


def test_no_text_is_made_unasked() -> None:
    """Nobody looks at the ids of most requests."""
    way = Way(is_native=True)
    for _ in range(3):
        served(way, Case())
    way.app = app = Plain()
    assert driven(way.middleware(scope(f"00-{TRACE}-{PARENT}-01"), Server(Case()).receive, Server(Case()).send)) is None
    assert app.before == []
    assert TRACE in app.after


class Plain:
    """Looks at what the state holds before and after somebody has asked for an id."""

    before: list[str]
    after: list[str]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        state = scope["obskit.request"]
        self.before = ids_in(state)
        assert state.trace_id == TRACE
        self.after = ids_in(state)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def ids_in(state: RequestState) -> list[str]:
    return [each for each in gc.get_referents(state) if isinstance(each, str) and len(each) in {16, 32}]
