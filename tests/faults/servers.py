"""The servers that the tests of requests run over, each with one service and all sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sinks import Sinks
from wire import Service, eventually, gunicorn, uvicorn

from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults

UNLIMITED = ("--limit-request-field_size", "0", "--limit-request-line", "0", "--limit-request-fields", "2000")
SERVERS = {
    "fastapi-uvicorn": ("fast", uvicorn("faulty:fast")),
    "starlette-uvicorn": ("star", uvicorn("faulty:star")),
    "flask-sync": ("wsgi", gunicorn("faulty:wsgi", "sync", *UNLIMITED)),
    "flask-gthread": ("wsgi", gunicorn("faulty:wsgi", "gthread", "--threads", "8", *UNLIMITED)),
    "fastapi-gunicorn": ("fast", gunicorn("faulty:fast", "uvicorn.workers.UvicornWorker", "--workers", "2")),
    "starlette-gunicorn-asgi": ("star", gunicorn("faulty:star", "asgi")),
    "fastapi-uvicorn-2": ("fast", uvicorn("faulty:fast", "--workers", "2")),
    "flask-gevent": ("wsgi", gunicorn("faulty:wsgi", "gevent", "--workers", "2", *UNLIMITED)),
    "fastapi-preload": (
        "fast",
        gunicorn("faulty:fast", "uvicorn.workers.UvicornWorker", "--workers", "2", "--preload"),
    ),
    "flask-preload": ("wsgi", gunicorn("faulty:wsgi", "gthread", "--threads", "4", "--workers", "2", "--preload")),
}
QUICK = ("fastapi-uvicorn", "starlette-uvicorn", "flask-gthread")
Figure = Callable[[str], None]


def params(*, asgi_only: bool = False) -> list:
    """Return the servers by name; all but a few are for `make faults` only."""
    names = [name for name, (app, _) in SERVERS.items() if not (asgi_only and app == "wsgi")]
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


on_asgi = pytest.mark.parametrize("served", params(asgi_only=True), indirect=True, scope="module")


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        server.switch.set(Faults(chunk_latency_s=0.8))
        yield server


@pytest.fixture(scope="module")
def sinks() -> Iterator[Sinks]:
    with Sinks() as receivers:
        yield receivers


@pytest.fixture(scope="module", params=params())
def served(request: pytest.FixtureRequest, sinks: Sinks, gemini: FakeGemini) -> Iterator[Service]:
    """A server of the service, with all sinks."""
    app, command = SERVERS[request.param]
    with Service(command, sinks.environment(FAULTY_APP=app, FAKE_GEMINI_URL=gemini.url)) as service:
        service.name, service.app = request.param, app  # type: ignore[attr-defined]
        yield service


def lines_with(service: Service, mark: str) -> list[dict]:
    """Return the ends of requests with this mark in their address, once there is one."""

    def found() -> list[dict]:
        return [line for line in service.access_lines() if mark in line["httpRequest"]["requestUrl"]]

    eventually(found)
    return found()


def access_line(service: Service, trace_id: str) -> dict:
    """Return the only line that the request of this trace has ended with."""
    lines = eventually(lambda: [line for line in service.access_lines() if line["trace_id"] == trace_id])
    assert len(lines) == 1, service.printed[-3000:]
    return lines[0]
