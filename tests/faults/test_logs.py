"""Log lines over real processes: shared pipes, readers that stall, hostile values, forged lines, chatty libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import peer
from sinks import Sinks, new_trace
from wire import APPS, Service, environment, eventually, gunicorn, uvicorn

CHATTY = str(APPS / "chatty.py")
LARGEST = 256 * 1024
Figure = Callable[[str], None]


def start(*arguments: str, stdout: int = subprocess.PIPE, **settings: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, CHATTY, *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment(**settings),
    )


def printed(*arguments: str) -> list[dict[str, Any]]:
    """Return the lines of a program; each must be JSON by the letter."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    return [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]


def shared_pipe(start_one: Callable[[str, int], subprocess.Popen[bytes]], at_once: int) -> list[bytes]:
    """Return what four processes have written to one pipe, whose reader takes so many bytes at once."""
    reading, writing = os.pipe()
    writers = [start_one(name, writing) for name in "abcd"]
    os.close(writing)
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"x")
        writer.stdin.close()
    pieces = []
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while piece := pipe.read(at_once):
            pieces.append(piece)
    for writer in writers:
        assert writer.stderr is not None
        assert (writer.wait(60), writer.stderr.read()) == (0, b"")
        writer.stderr.close()
    return b"".join(pieces).splitlines()


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


# --------------------------------------------------------------------------- 24


@pytest.mark.fault(24, "every line is valid JSON, and none is missing")
@pytest.mark.parametrize("at_once", [1 << 20, pytest.param(4096, marks=pytest.mark.slow)])
def test_processes_share_a_pipe(at_once: int, figure: Figure) -> None:
    """Four processes with lines of 8 bytes to 200 KB, however slowly they are read: all lines whole, in order, there."""
    lines = shared_pipe(lambda name, pipe: start("share", name, stdout=pipe), at_once)
    figure(f"{sum(map(is_json, lines))} of {len(lines)} lines valid, {4 * 400 - len(lines)} missing")
    found = [json.loads(line) for line in lines]
    for name in "abcd":
        assert [line["number"] for line in found if name in {line.get("name"), line.get("who")}] == list(range(400))


PRINTS = """
import json, logging, sys
way, name = sys.argv[1:]
if way == "google":
    from google.cloud.logging_v2.handlers import StructuredLogHandler
    log = logging.getLogger("x")
    log.addHandler(StructuredLogHandler(stream=sys.stdout, project_id="p"))
    log.setLevel("INFO")
    say = log.info
else:
    say = lambda text: print(json.dumps({"message": text}), flush=True)
sys.stdin.read(1)
for number in range(400):
    say(name * [8, 200, 8_000, 60_000, 200_000][number % 5])
"""


def _peer_shares(python: Path, way: str) -> str:
    def start_one(name: str, pipe: int) -> subprocess.Popen[bytes]:
        command = [str(python), "-c", PRINTS, way, name]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=pipe, stderr=subprocess.PIPE)

    lines = shared_pipe(start_one, 1 << 20)
    return f"{sum(map(is_json, lines))} lines valid of 1600"


@peer(24, "print")
def prints_share(python: Path) -> str:
    return _peer_shares(python, "print")


@peer(24, "google-cloud-logging", "google-cloud-logging")
def google_shares(python: Path) -> str:
    return _peer_shares(python, "google")


@pytest.mark.fault(24, "what the app prints beside stays whole too")
def test_prints_stand_beside(figure: Figure) -> None:
    """An app that prints lines of its own through the same standard output gets each of them whole and in order."""
    lines = printed("print_beside")
    figure(f"{len(lines)} of 4000 lines beside prints")
    assert [line["printed"] for line in lines if "printed" in line] == list(range(2000))
    assert [line["number"] for line in lines if "number" in line] == list(range(2000))


@pytest.mark.fault(24, "a reader that stalls: the app goes on, drops are counted and told")
def test_a_reader_stalls(figure: Figure) -> None:
    """The app says 20 MB while nobody reads; when somebody does, the oldest lines come first, and the rest is told."""
    count, size = 2000, 10_000
    with start("stall", str(count), str(size)) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr.readline() == b"said everything\n"  # before a byte was read
        process.stdin.write(b"\n")
        process.stdin.close()
        found = [json.loads(line) for line in process.stdout]
        assert process.wait(30) == 0
    numbers = [line["number"] for line in found if "number" in line]
    told = sum(line.get("obskit_dropped_lines", 0) for line in found)
    figure(f"{len(numbers)} lines kept + {told} told as dropped = {count}, app not held up")
    assert numbers == list(range(len(numbers)))
    assert 200 < len(numbers) < count
    assert len(numbers) + told == count
    assert found[-1]["message"] == "after"


@pytest.mark.fault(24, "a reader that stalls does not hold up an event loop")
def test_a_stalled_reader_and_an_event_loop() -> None:
    """uvicorn answers every request while its standard output takes nothing."""
    reading, writing = os.pipe()
    try:
        with Service(
            uvicorn("talker:fast"), environment(OBSKIT_EXPORTERS="none", TALKER_APP="fast"), stdout=writing
        ) as s:
            answers = [s.request("/big/200000")[0] for _ in range(30)]  # 6 MB, and a pipe holds at most one
    finally:
        os.close(reading)
        os.close(writing)
    assert answers == [200] * 30


@peer(24, "structlog, stalled reader", "structlog")
def structlog_stalls(python: Path) -> str:
    code = """
import structlog, sys
structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.WriteLoggerFactory())
log = structlog.get_logger()
for number in range(2000):
    log.info("x" * 10_000)
    print(number, file=sys.stderr, flush=True)
"""
    with subprocess.Popen([str(python), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        said: list[bytes] = []

        def is_stuck() -> bool:
            news = process.stderr.read() or b""  # type: ignore[union-attr]
            said.append(news)
            return not news and bool(b"".join(said))

        eventually(is_stuck, 10)
        process.kill()
    return f"held up after {len(b''.join(said).splitlines())} of 2000 lines"


# --------------------------------------------------------------------------- 25, 26


@pytest.mark.fault(25, "each hostile value gives one valid line, by every way to log")
def test_hostile_values(figure: Figure) -> None:
    """Surrogates, NaN, objects that raise, cycles, forged lines, bad formats: one valid line each, nothing on stderr."""
    lines = printed("hostile")
    figure(f"{len(lines)} of {14 * 4 + 3 * 2} lines")
    assert len(lines) == 14 * 4 + 3 * 2
    assert {line["severity"] for line in lines} == {"INFO"}
    assert Counter(line.get("case") for line in lines if "case" in line).most_common()[-1][1] == 3
    assert all(line["service"] == "chatty" for line in lines)


@peer(25, "google-cloud-logging", "google-cloud-logging")
def google_hostile(python: Path) -> str:
    code = """
import logging, sys
sys.argv[1:] = []
from google.cloud.logging_v2.handlers import StructuredLogHandler
class Raises:
    def __str__(self): raise RuntimeError("no")
    __repr__ = __str__
cyclic = {}; cyclic["self"] = cyclic
log = logging.getLogger("x")
log.addHandler(StructuredLogHandler(stream=sys.stdout, project_id="p"))
log.setLevel("INFO")
values = ["a\\ud800b", {"\\udfff": 1}, float("nan"), float("-inf"), Raises(), {"a": Raises()}, cyclic, 10**5000, b"\\xff",
          object(), "a\\nb", "\\x1b[31m", '","severity":"CRITICAL"}\\n{', ValueError(Raises())]
for value in values:
    log.info("value", extra={"json_fields": {"value": value}})
"""
    done = subprocess.run([str(python), "-c", code], capture_output=True, timeout=60, check=False)
    valid = 0
    for line in done.stdout.splitlines():
        try:
            json.loads(line, parse_constant=lambda text: 1 / 0)
            valid += 1
        except (ValueError, ZeroDivisionError):
            pass
    return f"{valid} of 14 lines valid"


@pytest.mark.fault(26, "at most 256 KiB, valid, trace kept, truncation marked")
def test_huge_messages(figure: Figure) -> None:
    """A message of 400 KB, in ASCII, in wide and escaped characters, and as JSON, is cut and keeps what matters."""
    with start("huge") as process:
        out, err = process.communicate(timeout=60)
    assert err == b""
    raw = out.splitlines()
    lines = [json.loads(line) for line in raw]
    figure(f"{len(lines)} of 6 lines, the longest {max(map(len, raw))} bytes")
    assert len(lines) == 6
    assert max(map(len, raw)) <= LARGEST
    for line in lines:
        assert line["obskit_truncated"] is True
        assert len(line["trace_id"]) == 32
        assert line["logging.googleapis.com/spanId"]
        assert (line["severity"], line["n"]) == ("ERROR", 1)
        assert len(line["message"]) > 20_000


# --------------------------------------------------------------------------- 27

FORGED = '"},\n{"severity":"CRITICAL","message":"forged"}\n'
ANSI = "\x1b[2J\x1b[31mred\x07"


@pytest.fixture(scope="module", params=["fast", "wsgi"])
def talker(request: pytest.FixtureRequest) -> Iterator[Service]:
    command = uvicorn("talker:fast") if request.param == "fast" else gunicorn("talker:wsgi", "gthread")
    with Service(command, environment(OBSKIT_EXPORTERS="none", TALKER_APP=request.param)) as service:
        yield service


@pytest.mark.fault(27, "one record each, severity not forged, no control character")
@pytest.mark.parametrize("text", [FORGED, ANSI, '{"severity":"CRITICAL"}', "a\r\nb\u2028c"])
def test_lines_cannot_be_forged(talker: Service, text: str, figure: Figure) -> None:
    """Line ends, ANSI codes and JSON in path, user agent, user and fields stay inside their fields."""
    trace_id, headers = new_trace()
    path = "".join(f"%{byte:02X}" for byte in text.encode())
    agent = "".join(char for char in text if char >= " ") + " AND MORE"  # servers refuse control characters here
    status, _ = talker.request(f"/{path}", headers={**headers, "User-Agent": agent.encode().decode("latin-1")})
    assert status == 200

    def of_request() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in talker.printed.split("\n") if line.startswith("{")]
        return [line for line in lines if line.get("trace_id") == trace_id]

    eventually(lambda: any("httpRequest" in line for line in of_request()))
    lines = of_request()
    figure(f"{len(lines)} of 3 records a request")
    assert [line["severity"] for line in lines] == ["INFO"] * 3
    assert sum(text in str(line.get("path")) for line in lines) == 2
    assert not set(talker.printed) & {"\x1b", "\x07", "\x9b", "\u2028", "\r"}


# --------------------------------------------------------------------------- 22


@pytest.mark.fault(22, "no record is made by exporting, with every library at DEBUG")
@pytest.mark.parametrize("app", ["fast", "wsgi"])
def test_exporting_is_silent(app: str, figure: Figure) -> None:
    """With the root logger at DEBUG and OTLP, Google and Sentry as sinks, exporting adds no record of its own."""
    with Sinks() as sinks:
        env = sinks.environment(FAULTY_APP=app, OBSKIT_LOG_LEVEL="debug")
        command = uvicorn("faulty:fast") if app == "fast" else gunicorn("faulty:wsgi", "gthread")
        with Service(command, env) as service:
            traces = []
            for _ in range(3):
                trace_id, headers = new_trace()
                traces.append(trace_id)
                assert service.request("/boom", headers=headers)[0] == 500
                sinks.server_span(trace_id)
            assert eventually(lambda: len(sinks.google_events("boom")) == 3)
            assert eventually(lambda: all(sinks.sentry_events(trace_id) for trace_id in traces))
            assert eventually(lambda: sinks.google.series)
            service.end()
            lines = [json.loads(line) for line in service.printed.splitlines() if line.startswith("{")]
    strangers = Counter(str(line.get("logger")).split(".")[0] for line in lines)
    about_export = {
        name: strangers[name] for name in ("urllib3", "google", "grpc", "opentelemetry", "sentry_sdk", "httpx")
    }
    figure(f"{sum(about_export.values())} records by exporting in {len(lines)} lines")
    assert not any(about_export.values()), about_export
    assert len([line for line in lines if "httpRequest" in line]) == 3


@pytest.mark.fault(22, "exporting makes no span and no metric of itself either, and says one thing of a failure")
@pytest.mark.parametrize("app", ["fast", "wsgi"])
def test_exporting_is_not_observed(app: str, figure: Figure) -> None:
    """While exports fail and succeed, with the root logger set to DEBUG by the app, no call of an exporter is told of."""
    with Sinks() as sinks:
        refused = []

        def refuse_at_first(path: str, _body: bytes) -> tuple[int, dict[str, str], bytes] | None:
            if len(refused) < 6:
                refused.append(path)
                return 503, {}, b""
            return None

        sinks.collector.fault = refuse_at_first
        env = sinks.environment(FAULTY_APP=app, FAULTY_ROOT_LEVEL="DEBUG")
        command = uvicorn("faulty:fast") if app == "fast" else gunicorn("faulty:wsgi", "gthread")
        with Service(command, env) as service:
            trace_id, headers = new_trace()
            assert service.request("/boom", headers=headers)[0] == 500
            assert eventually(lambda: sinks.sentry_events(trace_id))
            sinks.server_span(trace_id)
            assert eventually(lambda: sinks.collector.count("http.server.request.duration"))
            service.end()
            lines = [json.loads(line) for line in service.printed.splitlines() if line.startswith("{")]
        assert len(refused) == 6
        assert len(sinks.collector.spans) == 1
        assert not {name for _, name, _ in sinks.collector.points if "client" in name}
    strangers = {str(line.get("logger")).split(".")[0] for line in lines} - {"faulty", "uvicorn", "gunicorn", "None"}
    assert strangers <= {"obskit", "asyncio"}, strangers
    about = Counter(line["message"] for line in lines if line.get("logger") == "obskit")
    assert not about or max(about.values()) == 1, about
    figure(f"{len(refused)} exports failed and were tried again: no record, span or metric of theirs")


@peer(
    22,
    "OpenTelemetry",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)
def opentelemetry_multiplies(python: Path) -> str:
    code = """
import logging, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(name)s")
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=sys.argv[1])))
logging.getLogger("app").info("one")
for _ in range(3):
    with provider.get_tracer("x").start_as_current_span("s"):
        pass
    provider.force_flush()
provider.shutdown()
"""
    with Sinks() as sinks:
        command = [str(python), "-c", code, f"{sinks.collector.url}/v1/traces"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    return f"{len(lines) - 1} records by exporting beside 1 of the app"
