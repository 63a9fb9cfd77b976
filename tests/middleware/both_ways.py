"""The same exchange served by the compiled module and by Python, each with an observer of its own."""

from __future__ import annotations

import contextlib
import contextvars
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import obskit
from obskit.config import Config
from obskit.middleware.asgi import ASGIMiddleware
from obskit.middleware.requests import CURRENT, Observer
from obskit.signals import logs, reports
from obskit.signals.context import BOUND, REQUEST, SLOTS, RequestState
from obskit.signals.durations import Durations
from obskit.signals.ended import EndedSpans
from obskit.signals.lines import moment
from obskit.signals.native import MODULE
from obskit.signals.providers import OwnTracerProvider
from obskit.signals.redaction import Redactor
from obskit.signals.resource import OwnResource
from obskit.signals.sampling import Keeper, Policy
from obskit.signals.shown import Shown
from obskit.signals.spans import RequestSpans

Step = tuple[Any, ...]
MASKED = {"trace_id", "span_id", "start_ns", "begun", "elapsed_s"}
START = ("start", 200)
END = ("body", b"ok", False)
REQUEST_MESSAGE = {"type": "http.request", "body": b"", "more_body": False}


def scope_of(**more: Any) -> dict[str, Any]:
    """Return the scope of a plain request; a value of ``...`` takes its key away."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"shop"), (b"user-agent", b"probe/1.0")],
        "client": ("127.0.0.1", 5000),
        **more,
    }
    return {key: value for key, value in scope.items() if value is not ...}


@dataclass(kw_only=True)
class Case:
    """An exchange: the scope, what the app does, and how the server behaves."""

    scope: Callable[[], Any] = scope_of
    steps: tuple[Step, ...] = (START, END)
    receives: tuple[Any, ...] = (REQUEST_MESSAGE,)
    server_error: Callable[[], BaseException] | None = None
    server_fails_at: int = 1
    has_left: bool = False
    around: Callable[[], Any] = lambda: None
    locate: Callable[[Any], Any] = lambda scope: scope["route"].path if scope.get("route") else ""


@dataclass
class Outcome:
    """All that one request has left behind, without what differs from one to the next."""

    error: str
    got: list[Any]
    seen: list[Any]
    after: list[Any]
    scope: list[Any]
    state: dict[str, Any]
    records: list[Any] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    points: dict[Any, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)


class Route:
    def __init__(self, path: str) -> None:
        self.path = path


ROUTE = Route("/a/{b}")


# --------------------------------------------------------------------------- the app and the server


class Server:
    """What stands behind `receive` and `send`; `disconnected` is where uvicorn says that the client has gone."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._incoming = iter(case.receives)
        self.disconnected = case.has_left
        self.got: list[Any] = []

    async def receive(self) -> Any:
        message = next(self._incoming, {"type": "http.disconnect"})
        if callable(message):
            raise message()
        return message

    async def send(self, message: Any) -> None:
        self.got.append(repr(message))
        if self._case.server_error is not None and len(self.got) == self._case.server_fails_at:
            raise self._case.server_error()


class App:
    """Does one step after the other, and notes how each of them went."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.seen: list[Any] = []
        self.served_by = ""
        self.state: RequestState | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.served_by = type(getattr(send, "__self__", None)).__name__
        state, span = REQUEST.get(), trace.get_current_span()
        self.state = state
        own = span.get_span_context()
        is_own = state is not None and (f"{own.trace_id:032x}", f"{own.span_id:016x}") == (
            state.trace_id,
            state.span_id,
        )
        self.seen.append((is_own, state is scope.get("obskit.request"), state is not None and state.source is scope))
        for step in self.steps:
            try:
                await self.perform(step, scope, receive, send)
            except BaseException as error:
                self.seen.append((type(error).__name__, str(error)))
                if step[0] != "try":
                    raise

    async def perform(self, step: Step, scope: Any, receive: Any, send: Any) -> None:
        match step:
            case ("start", status, *more):
                message = {"type": "http.response.start", "status": status, "headers": []}
                await send(message | (more[0] if more else {}))
            case ("body", body, has_more):
                await send({"type": "http.response.body", "body": body, "more_body": has_more})
            case ("send", make):
                await send(make())
            case ("try", inner):
                await self.perform(inner, scope, receive, send)
            case ("receive",):
                self.seen.append(await receive())
            case ("raise", make):
                raise make()
            case ("bind", fields):
                obskit.bind(**fields)
            case ("route", template):
                obskit.set_route(template)
            case ("touch",):
                trace.get_current_span().set_attribute("touched", 1)
            case ("scope", key, value):
                scope[key] = value
            case ("state", name, value):
                setattr(scope["obskit.request"], name, value)
            case ("empty", name):
                delattr(scope["obskit.request"], name)
            case ("inside", app):
                await app(scope, receive, send)
            case _:
                raise AssertionError(step)


def driven(coroutine: Any) -> BaseException | None:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return None
    except BaseException as error:
        return error
    raise AssertionError("it waits")


# --------------------------------------------------------------------------- one way through


class Way:
    """A middleware with everything of its own behind it, natively or in Python."""

    def __init__(
        self,
        *,
        is_native: bool,
        locate: Callable[[Any], Any] = Case().locate,
        redactor: Callable[[], Redactor] = Redactor,
        submit: Callable[[], Any] = lambda: None,
        **settings: Any,
    ) -> None:
        config = Config(**{"service_name": "shop", "project": "p", "native": is_native} | settings)
        self._redactor, self._submitted = redactor(), submit
        shown, self.exporter, self.records = Shown(self._redactor), InMemorySpanExporter(), []
        processor, resource = SimpleSpanProcessor(self.exporter), OwnResource(config, {})
        policy = Policy(config.sample_ratio, trusts_incoming=config.trust_incoming_sampling)
        provider = OwnTracerProvider(policy, resource, lambda: processor)
        self.durations = Durations(resource, is_own=True, is_native=is_native)
        keeper = Keeper(config)
        spans = RequestSpans(
            provider,
            EndedSpans(resource, config.sample_ratio, shown),
            self._submit,
            policy,
            keeper,
            shown,
        )
        self.observer = Observer(config, self._redactor, lambda: None, self.durations, keeper, spans)
        self.middleware = ASGIMiddleware(self._serve, self.observer, locate=locate)
        assert (self.middleware._way is not None) is is_native
        self.app: Any = None
        self.served_by: list[str] = []

    def _submit(self, record: Any, size: int) -> None:
        self.records.append((record, size))
        self._submitted()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def ask(self, case: Case) -> Outcome:
        """Serve the case once."""
        server, scope, self.app = Server(case), case.scope(), App(case.steps)
        counts, reported, said = self._counts(), [], Said()
        self.records.clear()
        self.exporter.clear()
        reports.set_sink(reported.append)
        text = io.StringIO()
        context = contextvars.copy_context()
        context.run(case.around)
        before = [context.get(var) for var in (REQUEST, CURRENT, BOUND)]
        with contextlib.redirect_stdout(text), said:
            error = context.run(driven, self.middleware(scope, server.receive, server.send))
            assert logs.OUTPUT.flush(5)
        reports.set_sink(None)
        self.served_by.append(self.app.served_by)
        state = self.app.state
        mask = Mask(state, scope)
        return Outcome(
            error=repr(error),
            got=server.got,
            seen=self.app.seen,
            after=[context.get(var) is was for var, was in zip((REQUEST, CURRENT, BOUND), before, strict=True)],
            scope=mask.scope(scope),
            state=mask.state(),
            records=[mask.record(*each) for each in self.records],
            spans=[(span.name, mask.text(str(dict(span.attributes)))) for span in self.exporter.get_finished_spans()],
            points={key: count - counts.get(key, 0) for key, count in self._counts().items()},
            lines=[mask.line(line) for line in text.getvalue().splitlines()],
            warnings=[mask.text(line) for line in said.lines],
            reports=[(each.type, each.message) for each in reported],
        )

    def _counts(self) -> dict[Any, int]:
        for cell in self.durations._cells.values():
            cell.buckets.settle()
        return {key: sum(cell.buckets.figures()[0]) for key, cell in self.durations._cells.items()}


class Said(logging.Handler):
    """What obskit says about itself meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> None:
        logging.getLogger("obskit").addHandler(self)

    def __exit__(self, *_error: object) -> None:
        logging.getLogger("obskit").removeHandler(self)


class Mask:
    """Takes ids and times out, having made sure that they are well-formed, and agree with the state's."""

    def __init__(self, state: RequestState | None, scope: Any) -> None:
        self._state = state
        self._given = "".join(str(value) for key, value in scope.items() if str.__str__(key) == "headers").lower()
        self._trace_id = str(getattr(state, "trace_id", ""))
        self._span_id = str(getattr(state, "span_id", ""))
        assert re.fullmatch("|[0-9a-f]{32}", self._trace_id)
        assert re.fullmatch("|[0-9a-f]{16}", self._span_id)
        assert not self._trace_id or int(self._trace_id, 16)
        assert not self._span_id or int(self._span_id, 16)

    def text(self, text: str) -> str:
        if self._trace_id and self._trace_id not in self._given:
            text = text.replace(self._trace_id, "<trace>")
        text = text.replace(self._span_id, "<span>") if self._span_id else text
        return re.sub(r"0x[0-9a-f]{6,}", "<address>", text)

    def scope(self, scope: Any) -> list[Any]:
        named = [(str.__str__(key), value) for key, value in scope.items()]
        return [(key, self.text(repr(value))) for key, value in named if key != "obskit.request"]

    def state(self) -> dict[str, Any]:
        if self._state is None:
            return {}
        values = {name: getattr(self._state, name, "<empty>") for name in SLOTS}
        for name in ("start_ns", "begun", "elapsed_s"):
            values[name] = isinstance(values[name], int | float) and values[name] > 0
        values["trace_id"], values["span_id"] = self.text(self._trace_id), self.text(self._span_id)
        values["error"] = self.text(repr(values["error"]))
        values["_source"] = values["_source"] is not None
        return {name: (type(value).__name__, value) for name, value in values.items()}

    def record(self, record: tuple[Any, ...], size: int) -> Any:
        state = self._state
        assert state is not None
        assert record[:2] == (state.trace_id, state.span_id)
        assert record[6:8] == (state.start_ns, state.elapsed_s)
        shown = (self.text(record[0]), self.text(record[1]), *record[2:6], *record[8:])
        return [(type(value).__name__, value) for value in shown], size

    def line(self, line: str) -> str:
        state = self._state
        if line.startswith("{") and state is not None:
            found = json.loads(line)
            micros = int(state.elapsed_s * 1e6 + 0.5)
            assert f',"latency_ms":{micros // 1000}.{micros % 1000:03d},' in line
            assert f'"latency":"{micros // 1_000_000}.{micros % 1_000_000:06d}s"' in line
            assert found["time"] == found["timestamp"] == moment(state.start_ns + micros * 1000)
            line = line.replace(found["time"], "<time>")
        line = re.sub(r'"latency_ms":[\d.]+|"latency":"[\d.]+s"', "<latency>", line)
        line = re.sub(r"[\d.]+ ms|\d\d:\d\d:\d\d(\.\d+)?", "<shown>", line)
        return self.text(line).replace(self._trace_id[:8] or "-", "<trace>")


# --------------------------------------------------------------------------- both


@contextlib.contextmanager
def json_lines(log_format: str = "json") -> Iterator[None]:
    """Write lines in this form meanwhile."""
    logs.configure(Config(service_name="shop", project="p", log_format=log_format), Redactor())
    try:
        yield
    finally:
        logs.configure(Config(), Redactor())


def differences(case: Case, *, runs: int = 3, **settings: Any) -> tuple[list[Outcome], list[str]]:
    """Serve the case in both ways, several times each, and fail where they differ; return what came, and who served."""
    assert MODULE is not None
    ways = [Way(is_native=is_native, locate=case.locate, **settings) for is_native in (True, False)]
    outcomes = []
    for number in range(runs):
        ours, reference = (way.ask(case) for way in ways)
        for name in Outcome.__dataclass_fields__:
            assert getattr(ours, name) == getattr(reference, name), (number, name)
        outcomes.append(ours)
    assert "_NativeExchange" not in ways[1].served_by
    return outcomes, ways[0].served_by
