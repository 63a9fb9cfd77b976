"""What one `log.info("text", key=value)` inside a request costs: obskit beside structlog and the standard library.

    python benchmarks/loglines.py [--json] [--requests N]

Each variant serves requests whose code writes one line each, and then the same requests without it, under valgrind;
the difference is what a line costs, in instructions, which repeat to a fraction of a percent. Standard output is a
pipe, as in a container, and what arrives at its other end is checked. The peers write as little as their own
documentation shows; obskit writes all its fields (time, severity, service, trace, place in the code), with secrets
replaced.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venvs" / "logs"
PEERS = ["structlog", "orjson", "python-json-logger", "opentelemetry-api", "opentelemetry-sdk"]
VARIANTS = {
    "obskit": "obskit, all fields, redaction",
    "structlog_orjson": "structlog as in its chapter on performance: orjson, bytes",
    "structlog_json": "structlog with JSONRenderer",
    "stdlib_json": "logging with python-json-logger",
}
REQUESTS = 400
WARM_UP = 100
TARGET_RATIO = 3.0
ORDERS = [f"A-{number}" for number in range(997)]


# --------------------------------------------------------------------------- one variant, in a process of its own


def obskit_service() -> Callable[[bool], Awaitable[None]]:
    """Return what serves a request through obskit's middleware."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    import obskit

    log = obskit.get_logger("shop")
    number = 0

    async def order(request: Request) -> Response:
        nonlocal number
        number += 1
        if request.app.state.writes:
            log.info("order placed", order=ORDERS[number % 997])
        return Response()

    app = Starlette(routes=[Route("/orders", order)])
    obskit.instrument(app, service_name="bench", project="p", exporters=["none"], access_log=False)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    async def serve(writes: bool) -> None:
        app.state.writes = writes
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/orders"}
        scope |= {"raw_path": b"/orders", "query_string": b"", "headers": [(b"host", b"a.example")], "root_path": ""}
        scope |= {"client": ("127.0.0.1", 4), "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"}, "state": {}}
        await app(scope, receive, send)  # type: ignore[arg-type]

    return serve


def structlog_orjson() -> Callable[[bool], Awaitable[None]]:
    """Return structlog's "as fast as it gets". Source: structlog's documentation, "Performance", "Example"."""
    import logging

    import orjson
    import structlog

    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(),
    )
    return structlog_service(structlog.get_logger())


def structlog_json() -> Callable[[bool], Awaitable[None]]:
    """Return structlog with its own JSON renderer. Source: its documentation, "Logging Best Practices"."""
    import logging

    import structlog

    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(),
    )
    return structlog_service(structlog.get_logger())


def structlog_service(log: Any) -> Callable[[bool], Awaitable[None]]:
    """Return what serves a request with a line of structlog's."""
    number = 0

    async def serve(writes: bool) -> None:
        nonlocal number
        number += 1
        if writes:
            log.info("order placed", order=ORDERS[number % 997])

    return serve


def stdlib_json() -> Callable[[bool], Awaitable[None]]:
    """Return the standard library's logging with python-json-logger. Source: its documentation, "Quick Start"."""
    import logging

    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter("{asctime}{levelname}{name}{message}", style="{"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    log = logging.getLogger("shop")
    number = 0

    async def serve(writes: bool) -> None:
        nonlocal number
        number += 1
        if writes:
            log.info("order placed", extra={"order": ORDERS[number % 997]})

    return serve


SERVICES: dict[str, Callable[[], Callable[[bool], Awaitable[None]]]] = {
    "obskit": obskit_service,
    "structlog_orjson": structlog_orjson,
    "structlog_json": structlog_json,
    "stdlib_json": stdlib_json,
}


def serve_all(variant: str, requests: int, writes: int) -> None:
    """Serve the warm-up and then `requests`, of which `writes` write a line; each has a task of its own."""
    serve = SERVICES[variant]()

    async def drive() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(WARM_UP):
            await loop.create_task(serve(True))
        for number in range(requests):
            await loop.create_task(serve(number < writes))

    asyncio.run(drive())
    sys.stdout.flush()
    os._exit(0)


# --------------------------------------------------------------------------- all variants, compared


def interpreter(variant: str) -> str:
    """Return the Python that has what the variant needs; the peers' environment is made if it is not there."""
    if variant == "obskit":
        return sys.executable
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "packages.txt"
    if not stamp.exists() or stamp.read_text().split() != PEERS:
        print("making the environment of the log benchmark …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEERS], check=True, stdout=sys.stderr)
        stamp.write_text("\n".join(PEERS))
    return str(python)


def instructions(variant: str, requests: int, writes: int) -> tuple[int, list[dict[str, Any]]]:
    """Run one variant once; return how many instructions it took in all, and the lines that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", interpreter(variant)]
        child = subprocess.Popen(
            [*command, __file__, "--serve", variant, "--requests", str(requests), "--writes", str(writes)],
            stdout=subprocess.PIPE,
            # Nothing by the clock, which runs fifty times slow here: one flush more or less would be all that is seen.
            env={**os.environ, "PYTHONHASHSEED": "0"}
            | {f"OBSKIT_{signal}_EXPORT_INTERVAL": "1h" for signal in ("METRIC", "TRACE")},
        )
        written, _ = child.communicate(timeout=600)
        if child.returncode:
            raise RuntimeError(f"{variant} ended with {child.returncode}")
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
        if found is None:
            raise RuntimeError(f"{variant}: valgrind counted nothing")
        return int(found[1]), [json.loads(line) for line in written.splitlines()]


def cost(variant: str, requests: int = REQUESTS) -> float:
    """Return the instructions of one line."""
    counts = {}
    for writes in (0, requests):
        counts[writes], lines = instructions(variant, requests, writes)
        if sum("order" in line for line in lines) != WARM_UP + writes:
            raise RuntimeError(f"{variant}: {len(lines)} lines arrived, not {WARM_UP + writes}")
    return (counts[requests] - counts[0]) / requests


def measure(requests: int = REQUESTS) -> dict[str, Any]:
    """Return the instructions of one line by variant, and how many times obskit's each peer's is.

    Raises:
        RuntimeError: valgrind is not here, or a variant failed.
    """
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind is not here; `make test-deps` installs it")
    interpreter("stdlib_json")
    found: dict[str, float] = {}
    waiting = list(VARIANTS)

    def work() -> None:
        while waiting:
            variant = waiting.pop(0)
            found[variant] = cost(variant, requests)

    threads = [threading.Thread(target=work) for _ in range(min(2, os.cpu_count() or 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if missing := VARIANTS.keys() - found.keys():
        raise RuntimeError(f"not measured: {', '.join(sorted(missing))}")
    own = found["obskit"]
    return {
        "instructions": {name: round(found[name]) for name in VARIANTS},
        "times_obskit": {name: round(found[name] / own, 2) for name in VARIANTS if name != "obskit"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--only", choices=VARIANTS, help="measure one variant")
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--writes", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_all(options.serve, options.requests, options.writes)
    if options.only:
        print(f"{cost(options.only, options.requests):,.0f} instructions a line")
        return
    figures = measure(options.requests)
    if options.json:
        print(json.dumps(figures))
        return
    for name, text in VARIANTS.items():
        ratio = figures["times_obskit"].get(name)
        beside = "" if ratio is None else f"{ratio:>7.2f} times obskit's (target: at least {TARGET_RATIO:g})"
        print(f"{figures['instructions'][name]:>9,} instructions  {text:<58}{beside}")


if __name__ == "__main__":
    main()
