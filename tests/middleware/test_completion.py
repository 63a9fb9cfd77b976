"""The last message of a response is sent by the compiled module as by Python's coroutine, however it is awaited."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import gc
import inspect
import io
import os
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from both_ways import Way, json_lines, scope_of

from obskit.middleware.requests import CURRENT
from obskit.signals import logs
from obskit.signals.context import REQUEST
from obskit.signals.native import MODULE

pytestmark = pytest.mark.needs("native")

START = {"type": "http.response.start", "status": 200, "headers": []}
WAYS = pytest.mark.parametrize("is_native", [True, False], ids=["compiled", "python"])


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> Iterator[None]:
    """Look for garbage in what is new only."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with json_lines(), contextlib.redirect_stdout(io.StringIO()):
        yield
        assert logs.OUTPUT.flush(5)


class Counted:
    """What a message carries; its references say whether the message is still there."""


class Odd(Exception):
    pass


# --------------------------------------------------------------------------- servers


class Suspended:
    """Waits as often as is asked, and notes what it is sent."""

    def __init__(self, times: int, noted: list[Any]) -> None:
        self._times, self._noted = times, noted

    def __await__(self) -> Any:
        for number in range(self._times):
            try:
                self._noted.append((yield number))
            except BaseException as error:
                self._noted.append(type(error).__name__)
                raise
        return "waited"


class Iterating:
    """An iterator of Python's, with `__next__` alone."""

    def __init__(self, items: list[Any]) -> None:
        self._items = iter(items)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        if isinstance(item, BaseException):
            raise item
        return item


class Awaiting:
    """Something to await that is no coroutine."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def __await__(self) -> Any:
        return self._given() if callable(self._given) else self._given


async def plainly(server: Server, _message: Any) -> str:
    server.noted.append("sent")
    return "ignored"


def suspending(times: int, error: Callable[[], BaseException] | None = None) -> Any:
    async def send(server: Server, _message: Any) -> None:
        server.noted.append(await Suspended(times, server.noted))
        if error is not None:
            raise error()

    return send


async def swallowing(server: Server, _message: Any) -> None:
    try:
        await Suspended(1, server.noted)
    except BaseException as error:
        server.noted.append(f"swallowed {type(error).__name__}")


async def insisting(server: Server, _message: Any) -> None:
    for _ in range(2):
        with contextlib.suppress(BaseException):
            await Suspended(1, server.noted)


async def translating(server: Server, _message: Any) -> None:
    try:
        await Suspended(1, server.noted)
    except BaseException as error:
        raise BrokenPipeError("gone") from error


async def cleaning(server: Server, _message: Any) -> None:
    try:
        await Suspended(1, server.noted)
    finally:
        server.noted.append("cleaned")


def raising(error: Callable[[], BaseException]) -> Any:
    def send(_server: Server, _message: Any) -> Any:
        raise error()

    return send


def giving(make: Callable[[Server], Any]) -> Any:
    return lambda server, _message: make(server)


@types.coroutine
def generating(server: Server, _message: Any) -> Any:
    server.noted.append((yield "generated"))


def only_generating(server: Server, _message: Any) -> Any:
    server.noted.append((yield "never"))


async def asynchronously_generating(_server: Server, _message: Any) -> Any:
    yield "never"


class Server:
    """What stands behind `receive` and `send`; the last message goes to `last`."""

    def __init__(self, last: Any = plainly, **says: Any) -> None:
        self.noted: list[Any] = []
        self.got: list[Any] = []
        self._last = last
        for name, value in says.items():
            setattr(self, name, value)

    async def receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    def send(self, message: Any) -> Any:
        self.got.append(message["type"])
        return plainly(self, message) if message["type"] == START["type"] else self._last(self, message)


class Asked(Server):
    """Says by methods whether the client has gone."""

    def __init__(self, last: Any = plainly, **says: Any) -> None:
        super().__init__(last)
        self._says = says

    def __getattr__(self, name: str) -> Any:
        if name not in {"disconnected", "_closed"}:
            raise AttributeError(name)
        self.noted.append(name)
        value = self._says.get(name, AttributeError)
        if callable(value):
            raise value()
        return value


# --------------------------------------------------------------------------- one request


class Ride:
    """One request in one way: the app sends its first message, and does with the last one what the test says."""

    def __init__(self, *, is_native: bool, server: Callable[[], Server]) -> None:
        self.way = Way(is_native=is_native)
        self.is_native = is_native
        self.server = server()
        self.log: list[Any] = []
        self.state: Any = None
        self._receive: Any = self.server.receive

    def last(self, send: Any, counted: Counted) -> Any:
        """Return what is to be awaited."""
        made = send({"type": "http.response.body", "body": b"ok", "more_body": False, "counted": counted})
        assert (type(made).__name__ == "Completion") is self.is_native
        return made

    def call(self, counted: Counted, use: Callable[[Any, Ride], Any], receive: Any = None) -> Any:
        """Return the coroutine of the middleware."""

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            self.state = REQUEST.get()
            await send(START)
            try:
                await use(self.last(send, counted), self)
            except BaseException as error:
                self.log.append(("app", said(error)))
                raise
            self.log.append("app went on")

        self.way.app = app
        return self.way.middleware(scope_of(), receive or self.server.receive, self.server.send)

    def outcome(self) -> dict[str, Any]:
        state = self.state
        return {
            "log": self.log,
            "noted": self.server.noted,
            "got": self.server.got,
            "status": state.status,
            "bytes": state.response_bytes,
            "disconnected": state.is_disconnected,
            "finished": state.is_finished,
            "elapsed": state.elapsed_s > 0,
            "error": said(state.error) if state.error is not None else None,
            "reported": state.is_error_reported,
            "series": list(self.way.observer.series),
            "records": [(record[8:12], size) for record, size in self.way.records],
            "left": (REQUEST.get(), dict(CURRENT.get())),
        }


def said(error: BaseException) -> Any:
    chain = []
    while error is not None:
        chain.append((type(error).__name__, str(error)))
        error = error.__cause__  # type: ignore[assignment]
    return chain


async def awaiting(last: Any, ride: Ride) -> None:
    ride.log.append(("result", await last))


Step = tuple[str, Any]
GO: Step = ("send", None)


def pushed(target: Any, steps: tuple[Step, ...], log: list[Any]) -> None:
    """Do one step after the other with a coroutine, until it is done, and note what comes of each."""
    for name, value in steps:
        try:
            match name:
                case "send":
                    log.append(("yielded", target.send(value)))
                case "throw":
                    log.append(("yielded", target.throw(*(value() if callable(value) else value))))
                case "next":
                    log.append(("yielded", target.__next__()))
                case "close":
                    log.append(("closed", target.close()))
        except StopIteration as end:
            log.append(("ended", end.value))
        except BaseException as error:
            log.append(("raised", said(error)))


def both(
    server: Callable[[], Server],
    steps: tuple[Step, ...] = (GO, GO, GO, GO),
    use: Callable[[Any, Ride], Any] = awaiting,
    receive: Callable[[Server], Any] = lambda server: server.receive,
) -> dict[str, Any]:
    """Serve a request in both ways, driven by hand, and fail where they differ; return what has come of it."""
    found = []
    for is_native in (True, False):
        counted = Counted()
        before = sys.getrefcount(counted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            ride = Ride(is_native=is_native, server=server)
            coroutine = ride.call(counted, use, receive(ride.server))
            pushed(coroutine, steps, ride.log)
            coroutine.close()
            found.append(ride.outcome())
            del coroutine, ride
            gc.collect()
        assert sys.getrefcount(counted) == before
    for name, ours in found[0].items():
        assert ours == found[1][name], name
    return found[0]


def cancelling() -> tuple[Any, ...]:
    return (asyncio.CancelledError("enough"),)


def breaking() -> tuple[Any, ...]:
    return (ConnectionResetError("gone"),)


ENDED = {("GET", "", 200, "", "http")}


def test_it_is_awaited_to_its_end() -> None:
    """The request has ended then: with its status, its bytes, its span, and a result of None."""
    found = both(Server)
    assert found["log"] == [("result", None), "app went on", ("ended", None), *found["log"][3:]]
    assert (found["status"], found["bytes"], found["disconnected"], found["finished"]) == (200, 2, False, True)
    assert found["got"] == ["http.response.start", "http.response.body"]
    assert set(found["series"]) == ENDED
    assert len(found["records"]) == 1
    assert found["left"] == (None, {})


@pytest.mark.parametrize("times", [1, 2, 7])
def test_the_server_waits(times: int) -> None:
    """What it yields comes out, and what is sent in reaches it; the request ends behind it."""
    steps = (GO, *(("send", f"sent {number}") for number in range(times)))
    found = both(lambda: Server(suspending(times)), steps)
    assert found["noted"] == ["sent", *(f"sent {number}" for number in range(times)), "waited"]
    assert found["log"][:times] == [("yielded", number) for number in range(times)]
    assert found["log"][-1] == ("ended", None)
    assert set(found["series"]) == ENDED


THROWN: dict[str, Any] = {
    "cancelled": cancelling,
    "a class": (Odd,),
    "a class and a text": (Odd, "no"),
    "a class and an instance": lambda: (Odd, Odd("no")),
    "an instance": lambda: (Odd("no"),),
    "an instance, and nothing": lambda: (Odd("no"), None, None),
    "gone": breaking,
    "a timeout": lambda: (TimeoutError("late"),),
    "interrupted": (KeyboardInterrupt,),
    "the end of the process": (SystemExit, 1),
    "the end of a generator": (GeneratorExit,),
    "the end of an iteration": lambda: (StopIteration("x"),),
    "the end of an asynchronous iteration": lambda: (StopAsyncIteration("x"),),
    "a number": (5,),
    "a text": ("x",),
    "nothing": (None,),
    "another class": (int,),
    "no arguments": (),
    "four arguments": (Odd, None, None, None),
    "an instance and a text": lambda: (Odd("no"), "x"),
    "a class and a trace that is none": (Odd, None, 5),
}
WAITING = {
    "waiting": suspending(2),
    "swallowing": swallowing,
    "insisting": insisting,
    "translating": translating,
    "cleaning": cleaning,
    "an iterator": giving(lambda _: Awaiting(lambda: Iterating([1, 2]))),
    "a generator": giving(lambda server: Awaiting(lambda: only_generating(server, None))),
    "an object that waits": giving(lambda server: Suspended(2, server.noted)),
}


@pytest.mark.parametrize("server", WAITING)
@pytest.mark.parametrize("name", THROWN)
def test_something_is_thrown_into_it(name: str, server: str) -> None:
    """It reaches the server, which may take it, change it, or let it pass; the request ends as it ends in Python."""
    both(lambda: Server(WAITING[server]), (GO, ("throw", THROWN[name]), GO, GO))


def test_a_cancelled_request_ends() -> None:
    """What stood in the context is put back, the cancellation goes on, and the client counts as gone."""
    found = both(lambda: Server(suspending(1)), (GO, ("throw", cancelling)))
    assert found["log"][-1] == ("raised", [("CancelledError", "enough")])
    assert (found["disconnected"], found["finished"], found["left"]) == (True, True, (None, {}))
    assert [key[3] for key in found["series"]] == ["client_disconnected"]


@pytest.mark.parametrize("times", [0, 1, 3])
def test_the_server_loses_the_client(times: int) -> None:
    """Its OSError goes on to the app, and the request counts as one that the client has left, however late it comes."""
    found = both(lambda: Server(suspending(times, lambda: BrokenPipeError("gone"))))
    assert ("app", [("BrokenPipeError", "gone")]) in found["log"]
    assert found["disconnected"] is True
    assert [key[3] for key in found["series"]] == ["client_disconnected"]


FAILING = {
    "at once": raising,
    "when it is awaited": lambda error: suspending(0, error),
    "after a while": lambda error: suspending(2, error),
    "as it is asked what to await": lambda error: giving(lambda _: Awaiting(lambda: raising(error)(None, None))),
    "in an iterator": lambda error: giving(lambda _: Awaiting(Iterating([error()]))),
    "in an iterator after a while": lambda error: giving(lambda _: Awaiting(Iterating([1, error()]))),
}
ERRORS: dict[str, Callable[[], BaseException]] = {
    "gone": lambda: ConnectionResetError("gone"),
    "an OSError": lambda: OSError(5, "no"),
    "a ValueError": lambda: ValueError("no"),
    "a RuntimeError": lambda: RuntimeError("no"),
    "an AttributeError": lambda: AttributeError("no"),
    "cancelled": asyncio.CancelledError,
    "interrupted": KeyboardInterrupt,
    "the end of the process": lambda: SystemExit(1),
    "the end of an iteration": lambda: StopIteration(5),
    "the end of a generator": GeneratorExit,
}


@pytest.mark.parametrize("when", FAILING)
@pytest.mark.parametrize("name", ERRORS)
def test_the_server_fails(name: str, when: str) -> None:
    """With whatever, and whenever: the app gets the same, and the request ends alike."""
    both(lambda: Server(FAILING[when](ERRORS[name])))


OBJECTS: dict[str, Any] = {
    "None": lambda _: None,
    "a number": lambda _: 5,
    "a list": lambda _: [],
    "an iterator": lambda _: Iterating([1]),
    "a generator": lambda server: only_generating(server, None),
    "an asynchronous generator": lambda server: asynchronously_generating(server, None),
    "a generator that is a coroutine": lambda server: generating(server, None),
    "an object that waits": lambda server: Suspended(2, server.noted),
    "an object that waits not at all": lambda server: Suspended(0, server.noted),
    "an object that gives an iterator": lambda _: Awaiting(Iterating([1, 2])),
    "an object that gives a list's iterator": lambda _: Awaiting(iter([1, 2])),
    "an object that gives a list": lambda _: Awaiting([1, 2]),
    "an object that gives a number": lambda _: Awaiting(5),
    "an object that gives None": lambda _: Awaiting(None),
    "an object that gives a coroutine": lambda server: Awaiting(lambda: plainly(server, None)),
    "an object that gives a generator that is a coroutine": lambda server: Awaiting(lambda: generating(server, None)),
    "an object whose `__await__` is none": lambda _: type("Odd", (), {"__await__": None})(),
    "an object with its own `__await__`": lambda _: types.SimpleNamespace(__await__=lambda: iter([1])),
    "a class that waits": lambda _: Suspended,
    "a coroutine's wrapper": lambda server: plainly(server, None).__await__(),
    "an object that gives a coroutine's wrapper": lambda server: Awaiting(lambda: plainly(server, None).__await__()),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_server_gives_another_object(name: str) -> None:
    """What can be awaited is; of what cannot, Python's TypeError says so."""
    both(lambda: Server(giving(OBJECTS[name])), (GO, ("send", "a"), ("send", None), GO))


def test_the_server_gives_what_has_been_awaited() -> None:
    """A coroutine that is over, that was closed, or that somebody else awaits."""

    def over(server: Server) -> Any:
        coroutine = plainly(server, None)
        with contextlib.suppress(StopIteration):
            coroutine.send(None)
        return coroutine

    def closed(server: Server) -> Any:
        coroutine = plainly(server, None)
        coroutine.close()
        return coroutine

    kept: list[Any] = []

    def awaited(server: Server) -> Any:
        coroutine = suspending(2)(server, None)

        async def outer() -> None:
            await coroutine

        kept.append(outer())
        kept[-1].send(None)
        return coroutine

    for make in (over, closed, awaited):
        both(lambda make=make: Server(giving(make)))
    kept.clear()


# --------------------------------------------------------------------------- by hand


def by_hand(*steps: Step) -> Callable[[Any, Ride], Any]:
    async def use(last: Any, ride: Ride) -> None:
        pushed(last, steps, ride.log)

    return use


HAND: dict[str, tuple[Step, ...]] = {
    "to its end": (GO, ("send", "a"), ("send", "b")),
    "further than its end": (GO, GO, GO, GO, GO),
    "a value at first": (("send", "a"), GO, GO, GO),
    "closed at first": (("close", None), GO, ("close", None)),
    "closed in the middle": (GO, ("close", None), GO, ("close", None)),
    "closed at its end": (GO, GO, GO, ("close", None)),
    "thrown into at first": (("throw", (Odd,)), GO),
    "thrown into after its end": (GO, GO, GO, ("throw", (Odd,)), GO),
    "thrown into after it was closed": (("close", None), ("throw", (Odd,)), GO),
    "gone at first": (("throw", breaking), GO),
    "gone in the middle": (GO, ("throw", breaking), GO),
    "gone after its end": (GO, GO, GO, ("throw", breaking)),
    "cancelled at first": (("throw", cancelling), GO),
    "cancelled in the middle": (GO, ("throw", cancelling), GO),
    "the end of a generator at first": (("throw", (GeneratorExit,)), GO),
    "the end of a generator in the middle": (GO, ("throw", (GeneratorExit,)), GO),
    "the end of an iteration at first": (("throw", (StopIteration,)), GO),
    "a number at first": (("throw", (5,)), GO, GO, GO),
    "a number in the middle": (GO, ("throw", (5,)), GO, GO),
    "nothing thrown": (GO, ("throw", ()), GO, GO),
}


@pytest.mark.parametrize("server", ["waiting", "swallowing", "an iterator"])
@pytest.mark.parametrize("name", HAND)
def test_it_is_driven_by_hand(name: str, server: str) -> None:
    """By `send`, `throw` and `close`, in any order: each step gives what it gives of a coroutine."""
    both(lambda: Server(WAITING[server]), (GO,), by_hand(*HAND[name]))


def test_it_is_iterated_by_hand() -> None:
    """By `__await__` and `__next__`, as of what a coroutine's `__await__` gives."""
    for steps in (
        (("next", None),) * 4,
        (GO, ("next", None), GO),
        (("next", None), ("throw", breaking), ("next", None)),
    ):

        async def use(last: Any, ride: Ride, steps: Any = steps) -> None:
            pushed(last.__await__(), steps, ride.log)

        found = both(lambda: Server(suspending(2)), (GO,), use)
        assert ("yielded", 0) in found["log"]


def test_it_is_awaited_twice() -> None:
    """The second time is a RuntimeError, and neither the message nor the request is there twice."""

    async def use(last: Any, ride: Ride) -> None:
        await last
        await last

    found = both(lambda: Server(suspending(1)), use=use)
    assert ("app", [("RuntimeError", "cannot reuse already awaited coroutine")]) in found["log"]
    assert found["got"].count("http.response.body") == 1
    assert len(found["records"]) == 1


def test_it_is_awaited_after_it_was_closed() -> None:
    """Nothing has been sent, and nothing will be."""

    async def use(last: Any, ride: Ride) -> None:
        last.close()
        await last

    found = both(Server, use=use)
    assert found["got"] == ["http.response.start"]


def test_it_sends_within_itself() -> None:
    """A server that awaits it while it runs gets an exception, and the request ends once."""
    kept: list[Any] = []

    async def again(server: Server, _message: Any) -> None:
        pushed(kept[-1], (GO, ("throw", (Odd,)), ("close", None)), server.noted)

    def at_once(server: Server, message: Any) -> Any:
        pushed(kept[-1], (GO, ("throw", (Odd,)), ("close", None)), server.noted)
        return plainly(server, message)

    async def use(last: Any, ride: Ride) -> None:
        kept.append(last)
        try:
            await last
        finally:
            kept.clear()

    for send in (again, at_once):
        found = both(lambda send=send: Server(send), use=use)
        assert {name for name, _ in (each for each in found["noted"] if each != "sent")} == {"raised"}
        assert set(found["series"]) == ENDED


@WAYS
def test_it_is_never_awaited(is_native: bool) -> None:
    """Nothing is sent, the request ends as one whose response is incomplete, and the compiled one warns of nothing."""
    counted = Counted()
    before = sys.getrefcount(counted)

    async def use(last: Any, ride: Ride) -> None:
        del last

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        ride = Ride(is_native=is_native, server=Server)
        coroutine = ride.call(counted, use)
        pushed(coroutine, (GO,), ride.log)
        found = ride.outcome()
        del coroutine, ride
        gc.collect()
    texts = [str(each.message) for each in warned]
    warned.clear()
    gc.collect()
    assert sys.getrefcount(counted) == before
    assert found["got"] == ["http.response.start"]
    assert [key[2:4] for key in found["series"]] == [(200, "incomplete_response")]
    assert ["never awaited" in text for text in texts] == ([] if is_native else [True])


def test_it_looks_like_a_coroutine() -> None:
    """To those who ask by its methods; nobody makes one of its own."""
    ride = Ride(is_native=True, server=Server)
    made: list[Any] = []

    async def use(last: Any, ride: Ride) -> None:
        made.append(last)
        assert isinstance(last, collections.abc.Coroutine)
        assert isinstance(last, collections.abc.Awaitable)
        assert inspect.isawaitable(last)
        assert asyncio.iscoroutine(last)
        assert last.__await__() is last
        await last

    pushed(ride.call(Counted(), use), (GO,), ride.log)
    assert ride.log == ["app went on", ("ended", None)]
    with pytest.raises(TypeError):
        type(made[0])()
    with pytest.raises(TypeError):
        made[0].send()
    with pytest.raises(TypeError):
        made[0].close(1)
    assert type(made[0]) is MODULE.Completion  # type: ignore[union-attr]


@pytest.mark.parametrize("tool", [sys.settrace, sys.setprofile])
@pytest.mark.parametrize("server", ["waiting", "an iterator", "swallowing"])
def test_a_tracer_looks_on(server: str, tool: Any) -> None:
    """As coverage and debuggers do: nothing else comes of it."""

    def look(*_: Any) -> Any:
        return look if tool is sys.settrace else None

    before = sys.gettrace() if tool is sys.settrace else sys.getprofile()
    tool(look)
    try:
        found = both(lambda: Server(WAITING[server]), (GO, ("send", "a"), ("throw", cancelling), GO))
    finally:
        tool(before)
    assert found["finished"] is True


# --------------------------------------------------------------------------- the client has gone

GONE: dict[str, dict[str, Any]] = {
    "says nothing": {},
    "gone": {"disconnected": True},
    "there": {"disconnected": False},
    "there, but closed": {"disconnected": False, "_closed": True},
    "closed": {"_closed": True},
    "open": {"_closed": False},
    "does not know, but closed": {"disconnected": None, "_closed": True},
    "does not know": {"disconnected": None, "_closed": None},
    "a number": {"disconnected": 1},
    "closed by a number": {"_closed": 1},
    "a text": {"disconnected": "yes"},
    "fails": {"disconnected": lambda: Odd("no")},
    "fails as it closes": {"_closed": lambda: Odd("no")},
    "has lost it as it is asked": {"disconnected": lambda: ConnectionResetError("no")},
    "lacks it as it is asked": {"disconnected": lambda: AttributeError("no"), "_closed": True},
    "ends the process": {"disconnected": lambda: SystemExit(1)},
    "ends an iteration": {"disconnected": lambda: StopIteration(1)},
}


@pytest.mark.parametrize("name", GONE)
def test_the_server_says_whether_the_client_has_gone(name: str) -> None:
    """By an attribute, or by what its `__getattr__` gives; asked once, before the message is sent."""
    says = GONE[name]
    found = both(lambda: Asked(**says))
    if name in {"gone", "closed", "does not know, but closed"}:
        assert found["disconnected"] is True
        assert [key[3] for key in found["series"]] == ["client_disconnected"]
        assert found["got"][-1] == "http.response.body"
    if not any(callable(value) for value in says.values()):
        assert both(lambda: Server(**says))["disconnected"] is found["disconnected"]


def test_receive_is_nobodys_method() -> None:
    """A function, an object that can be called, one with a `__self__` of its own, or with one that fails."""

    async def receive() -> Any:
        return {}

    class Odder:
        async def __call__(self) -> Any:
            return {}

        @property
        def __self__(self) -> Any:
            raise Odd("no")

    gone = types.SimpleNamespace(disconnected=True)
    named = Odder()
    kinds: dict[str, tuple[Any, bool]] = {
        "function": (receive, False),
        "object": (type("Called", (), {"__call__": staticmethod(receive)})(), False),
        "None's": (type("Called", (), {"__call__": staticmethod(receive), "__self__": None})(), False),
        "somebody's": (type("Called", (), {"__call__": staticmethod(receive), "__self__": gone})(), True),
        "built in": ([].append, False),
        "a method": (types.MethodType(receive, gone), True),
        "failing": (named, False),
    }
    for name, (each, is_gone) in kinds.items():
        found = both(Server, receive=lambda _, each=each: each)
        assert found["disconnected"] is is_gone, name


# --------------------------------------------------------------------------- with asyncio


def with_asyncio(
    server: Callable[[], Server],
    use: Callable[[Any, Ride], Any] = awaiting,
    around: Callable[[Any, Ride], Any] | None = None,
    *,
    is_debug: bool = False,
) -> dict[str, Any]:
    """As `both`, in an event loop; `around` is given the request's coroutine."""
    found = []
    for is_native in (True, False):
        counted = Counted()
        before = sys.getrefcount(counted)
        ride = Ride(is_native=is_native, server=server)

        async def main(ride: Ride = ride, counted: Counted = counted) -> dict[str, Any]:
            coroutine = ride.call(counted, use)
            try:
                await (coroutine if around is None else around(coroutine, ride))
            except BaseException as error:
                ride.log.append(("main", said(error)))
            await asyncio.sleep(0)
            return ride.outcome()

        found.append(asyncio.run(main(), debug=is_debug))
        del main, ride
        gc.collect()
        assert sys.getrefcount(counted) == before
    for name, ours in found[0].items():
        assert ours == found[1][name], name
    return found[0]


def future_of(server: Server, error: BaseException | None = None) -> Any:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    server.noted.append("future")
    if error is None:
        loop.call_soon(lambda: future.done() or future.set_result("x"))
    else:
        loop.call_soon(lambda: future.done() or future.set_exception(error))
    return future


def done_future(_server: Server) -> Any:
    future = asyncio.get_running_loop().create_future()
    future.set_result("x")
    return future


async def sleeping(server: Server, _message: Any) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    server.noted.append("slept")


async def never(server: Server, _message: Any) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        server.noted.append("left")


FUTURES: dict[str, Any] = {
    "a future": giving(future_of),
    "a future that is done": giving(done_future),
    "a future that fails": giving(lambda server: future_of(server, Odd("no"))),
    "a future that loses the client": giving(lambda server: future_of(server, BrokenPipeError("gone"))),
    "a task": giving(lambda server: asyncio.ensure_future(sleeping(server, None))),
    "a task that fails": giving(
        lambda _: asyncio.ensure_future(suspending(0, lambda: BrokenPipeError("gone"))(Server(), None))
    ),
    "a future of several": giving(lambda server: asyncio.gather(sleeping(server, None), sleeping(server, None))),
    "a coroutine that sleeps": sleeping,
}


@pytest.mark.parametrize("is_debug", [False, True], ids=["usual", "debug"])
@pytest.mark.parametrize("name", FUTURES)
def test_the_server_gives_a_future(name: str, is_debug: bool) -> None:
    """Or a task, or a coroutine that waits for one: the app goes on when it is done."""
    with_asyncio(lambda: Server(FUTURES[name]), is_debug=is_debug)


async def cancelled_later(coroutine: Any, ride: Ride) -> None:
    task = asyncio.ensure_future(coroutine)
    for _ in range(3):
        await asyncio.sleep(0)
    ride.log.append(task.cancel("enough"))
    repr(task)
    task.get_stack()
    await task


WAITING_FOR_EVER = {
    "a coroutine": never,
    "a future": giving(lambda _: asyncio.get_running_loop().create_future()),
    "a task": giving(lambda server: asyncio.ensure_future(never(server, None))),
}


@pytest.mark.parametrize("name", WAITING_FOR_EVER)
def test_the_request_is_cancelled(name: str) -> None:
    """While the last message waits: what is awaited is cancelled, and the request ends as the client's leaving."""
    found = with_asyncio(lambda: Server(WAITING_FOR_EVER[name]), around=cancelled_later)
    assert found["log"][0] is True
    assert found["log"][-1] == ("main", [("CancelledError", "enough")])
    assert (found["disconnected"], found["finished"]) == (True, True)


@pytest.mark.parametrize("name", WAITING_FOR_EVER)
def test_the_app_waits_no_longer(name: str) -> None:
    """Its own time-out, around what it awaits, is its own exception."""

    async def with_wait_for(last: Any, ride: Ride) -> None:
        await asyncio.wait_for(last, 0.01)

    async def with_timeout(last: Any, ride: Ride) -> None:
        async with asyncio.timeout(0.01):
            await last

    for use in (with_wait_for, with_timeout):
        found = with_asyncio(lambda: Server(WAITING_FOR_EVER[name]), use)
        assert found["log"][-1][1][0][0] == "TimeoutError"
        assert found["finished"] is True


def test_the_app_makes_a_task_of_it() -> None:
    """As of any coroutine; several at once, or shielded."""

    async def as_task(last: Any, ride: Ride) -> None:
        task = asyncio.create_task(last)
        ride.log.append((await task, task.done(), task.cancelled()))

    async def gathered(last: Any, ride: Ride) -> None:
        ride.log.append(await asyncio.gather(last, asyncio.sleep(0, 5)))

    async def shielded(last: Any, ride: Ride) -> None:
        ride.log.append(await asyncio.shield(last))

    for use in (as_task, gathered, shielded):
        found = with_asyncio(lambda: Server(sleeping), use)
        assert set(found["series"]) == ENDED


def test_two_tasks_await_it_at_once() -> None:
    """One of them gets an exception; the message is sent once, and the request ends well."""

    async def use(last: Any, ride: Ride) -> None:
        async def one() -> None:
            await last

        first, second = asyncio.ensure_future(one()), asyncio.ensure_future(one())
        results = await asyncio.gather(first, second, return_exceptions=True)
        ride.log.append([said(each) if isinstance(each, BaseException) else each for each in results])

    found = with_asyncio(lambda: Server(sleeping), use)
    assert found["got"].count("http.response.body") == 1
    assert set(found["series"]) == ENDED


@WAYS
def test_the_loop_ends_before_it_does(is_native: bool) -> None:
    """It goes with the loop, and nothing of it stays."""
    counted, rides = Counted(), [Ride(is_native=is_native, server=lambda: Server(never))]
    before = sys.getrefcount(counted)

    async def main() -> None:
        task = asyncio.ensure_future(rides[0].call(counted, awaiting))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(main())
    assert rides.pop().server.noted[-1] == "left"
    del main
    gc.collect()
    assert sys.getrefcount(counted) == before


def test_the_garbage_collector_finds_it() -> None:
    """In a cycle with its message, or with what it awaits: never begun, waiting, and over."""
    for steps in ((), (GO,), (GO, GO, GO)):
        counted = Counted()
        before = sys.getrefcount(counted)
        for _ in range(10):
            ride = Ride(is_native=True, server=lambda: Server(suspending(2)))

            async def use(last: Any, ride: Ride, steps: Any = steps) -> None:
                ride.server.kept = last  # type: ignore[attr-defined]
                pushed(last, steps, ride.log)

            pushed(ride.call(counted, use), (GO,), ride.log)
        del ride, use
        gc.collect()
        assert sys.getrefcount(counted) == before


def test_nothing_stays_behind() -> None:
    """After two hundred of each kind there are as many blocks of memory as after twenty, but for points that wait."""
    way = Way(is_native=True)
    servers = (plainly, suspending(2), suspending(1, lambda: BrokenPipeError("gone")), *WAITING.values(), raising(Odd))
    stepped = ((GO, GO, GO, GO), (GO, ("throw", cancelling)), (GO, ("throw", breaking)), (GO, ("close", None)), ())

    def ride() -> None:
        for last in servers:
            for steps in stepped:
                server = Server(last)

                async def app(_scope: Any, _receive: Any, send: Any) -> None:
                    await send(START)
                    await send({"type": "http.response.body", "body": b"ok"})

                way.app = app
                coroutine = way.middleware(scope_of(), server.receive, server.send)
                pushed(coroutine, steps, [])
                coroutine.close()
        way.app = None
        way.records.clear()
        way.exporter.clear()

    counts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for number in (20, 200):
            for _ in range(number):
                ride()
            gc.collect()
            counts.append(sys.getallocatedblocks())
    assert counts[1] <= counts[0] + 1500  # of requests there were 11,700


CLOSING = """
import sys
sys.path.insert(0, {folder!r})
from test_completion import Awaiting, Counted, Iterating, Odd, Ride, Server, GO, giving, pushed

kept = []

class Closing(Iterating):
    def __getattr__(self, name):
        if name != "throw":
            raise AttributeError(name)
        kept[-1].close()
        return lambda *_: 1 / 0

async def use(last, ride):
    kept.append(last)
    pushed(last, (GO, ("throw", (Odd,)), GO), ride.log)

for _ in range(50):
    ride = Ride(is_native=True, server=lambda: Server(giving(lambda _: Awaiting(lambda: Closing([1, 2])))))
    pushed(ride.call(Counted(), use), (GO,), ride.log)
    assert ride.log[1][0] == "raised", ride.log
    kept.clear()
print("alive", file=sys.stderr)
"""


def test_it_is_closed_while_it_looks_for_a_way_to_throw() -> None:
    """What it awaits may end it at any time, and the process lives on."""
    code = CLOSING.format(folder=str(Path(__file__).parent))
    env = {**os.environ, "PYTHONMALLOC": "debug"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, ["alive"])
