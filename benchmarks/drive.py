"""Drive one variant in process with the requests of a Cloud Run service; `drivers.py` is at the other end.

`drive.py FRAMEWORK VARIANT` warms up, says READY, and then does what each line of its input says:
`count N` counts the instructions of N requests (under valgrind), `time N` their CPU time, `serve N` neither.
Standard output belongs to the app, as in a container; answers go to the file descriptor in ``BENCH_REPLIES``.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import functools
import gc
import io
import json
import os
import random
import sys
import threading
import time
from typing import Any

import apps

WARM_UP = 250
HEADERS = {
    "host": "svc-abc-ew.a.run.app",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "forwarded": 'for="203.0.113.7";proto=https',
}
_random = random.Random(1)
PARENTS = [f"00-{_random.getrandbits(128):032x}-{_random.getrandbits(64):016x}-01" for _ in range(1009)]
_ASGI_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_WSGI_HEADERS = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in HEADERS.items()}


def scope(path: str, parent: str) -> dict[str, Any]:
    """Return the ASGI scope of one request."""
    trace = [(b"traceparent", parent.encode()), (b"x-cloud-trace-context", f"{parent[3:35]}/123;o=1".encode())]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "state": {},
        "headers": _ASGI_HEADERS + trace,
    }


def environ(path: str, parent: str) -> dict[str, Any]:
    """Return the WSGI environment of one request."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "gunicorn/27.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(b""),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_TRACEPARENT": parent,
        "HTTP_X_CLOUD_TRACE_CONTEXT": f"{parent[3:35]}/123;o=1",
        **_WSGI_HEADERS,
    }


class Driver:
    """Calls an app the way its server would, and checks that every request is answered with 200."""

    def __init__(self, app: Any, *, is_asgi: bool, routes: int = 1) -> None:
        self.app = app
        self.is_asgi = is_asgi
        self.prefixes = apps.prefixes(routes)
        self.loop = asyncio.new_event_loop()
        self.done = 0
        self.answered = 0

    def drive(self, count: int) -> None:
        """Answer `count` requests; the next call goes on with other paths and parents."""
        before = self.answered
        if self.is_asgi:
            self.loop.run_until_complete(self._asgi(self.done, count))
        else:
            for index in range(self.done, self.done + count):
                self._wsgi(index)
        self.done += count
        if self.answered - before != count:
            raise AssertionError(f"{self.answered - before} of {count} requests were answered with 200")

    def _of(self, index: int) -> tuple[str, str]:
        return f"{self.prefixes[index % len(self.prefixes)]}/items/{index % 997}", PARENTS[index % 1009]

    async def _asgi(self, first: int, count: int) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self.answered += 1

        for index in range(first, first + count):
            await self.loop.create_task(self.app(scope(*self._of(index)), receive, send))  # as uvicorn does

    def _wsgi(self, index: int) -> None:
        def start_response(status: str, _headers: Any, _error: Any = None) -> None:
            self.answered += status.startswith("200")

        body = self.app(environ(*self._of(index)), start_response)
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()


@functools.cache
def _profiling() -> Any:
    library = ctypes.PyDLL(os.environ["BENCH_PROFILING"])
    library.profiling_event.restype = ctypes.py_object
    library.profiling_event.argtypes = [ctypes.c_long]
    return library


def _follow(*_: object) -> None:
    # The first event of a new thread, in that thread: from here on its events go to the library.
    _profiling().profiling_follow()


class Session:
    """Does what `drivers.py` asks for."""

    def __init__(self, driver: Driver, *, is_flushing: bool) -> None:
        self.driver = driver
        self._flush = apps.flush if is_flushing else lambda: None

    def count(self, requests: int) -> dict[str, Any]:
        """Serve requests, and their export, while callgrind counts."""
        library = ctypes.CDLL(os.environ["BENCH_COUNTING"])
        before = apps.spans()
        library.counting_begin()
        self.driver.drive(requests)
        self._flush()
        library.counting_end()
        return {"spans": apps.spans() - before}

    def time(self, requests: int) -> dict[str, float]:
        """Return microseconds per request: of this thread without the flush, and of the process with it."""
        gc.collect()
        thread, process = time.thread_time(), time.process_time()
        self.driver.drive(requests)
        thread = time.thread_time() - thread
        self._flush()
        process = time.process_time() - process
        return {"thread_us": thread / requests * 1e6, "cpu_us": process / requests * 1e6}

    def flush(self, _: int) -> dict[str, Any]:
        """Export, while callgrind counts."""
        library = ctypes.CDLL(os.environ["BENCH_COUNTING"])
        before = apps.spans()
        library.counting_begin()
        apps.flush()
        library.counting_end()
        return {"spans": apps.spans() - before}

    def profile(self, requests: int) -> dict[str, Any]:
        """Serve requests while callgrind counts and every Python call is noted; `functions.py` reads the result."""
        counting, profiling = ctypes.CDLL(os.environ["BENCH_COUNTING"]), _profiling()
        profiling.profiling_follow()
        counting.counting_begin()
        profiling.profiling_begin()
        self.driver.drive(requests)
        self._flush()
        profiling.profiling_end()
        codes: dict[Any, int] = {}
        events = []
        for index in range(profiling.profiling_count()):
            code, thread, is_call = profiling.profiling_event(index)
            events.append((codes.setdefault(code, len(codes)), thread, is_call))
        names = [f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})" for code in codes]
        return {"functions": names, "events": events, "thread": threading.get_ident()}

    def serve(self, requests: int) -> dict[str, Any]:
        """Serve requests."""
        self.driver.drive(requests)
        return {}


def main() -> None:
    """Obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("variant")
    parser.add_argument("--routes", type=int, default=1)
    parser.add_argument("--exporter", default="", help="see `apps.build`")
    parser.add_argument("--waiting", type=int, default=0, help="serve so many more before, whose spans then wait")
    parser.add_argument("--no-flush", action="store_true")
    options = parser.parse_args()
    replies = os.fdopen(int(os.environ["BENCH_REPLIES"]), "w")
    if os.environ.get("BENCH_PROFILING"):
        threading.setprofile(_follow)
    app = apps.build(options.framework, options.variant, routes=options.routes, exporter=options.exporter)
    driver = Driver(app, is_asgi=options.framework == "fastapi", routes=options.routes)
    driver.drive(max(WARM_UP, 2 * options.routes))
    apps.flush()
    driver.drive(options.waiting)
    gc.collect()
    session = Session(driver, is_flushing=not options.no_flush)
    print(json.dumps({"pid": os.getpid()}), file=replies, flush=True)
    for line in sys.stdin:
        command, number = line.split()
        print(json.dumps(getattr(session, command)(int(number))), file=replies, flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
