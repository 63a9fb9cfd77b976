"""Drive one variant in process with the requests of a Cloud Run service; talks to run.py over stdin and stdout.

`drive.py FRAMEWORK VARIANT REQUESTS` warms up, says READY, waits for a line, drives, and says what it cost.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import random
import sys
import time
from typing import Any

# Log lines go to the null device, as in a container whose output is not read here.
REPLIES = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

import apps  # noqa: E402

WARM_UP = 300
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


def scope(index: int) -> dict[str, Any]:
    """Return the ASGI scope of one request."""
    parent, path = PARENTS[index % 1009], f"/items/{index % 997}"
    headers = {**HEADERS, "traceparent": parent, "x-cloud-trace-context": f"{parent[3:35]}/123;o=1"}
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
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


def environ(index: int) -> dict[str, Any]:
    """Return the WSGI environment of one request."""
    parent, path = PARENTS[index % 1009], f"/items/{index % 997}"
    headers = {**HEADERS, "traceparent": parent, "x-cloud-trace-context": f"{parent[3:35]}/123;o=1"}
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(b""),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
    }


class Driver:
    """Calls an app the way its server would."""

    def __init__(self, framework: str, variant: str) -> None:
        self.app = apps.build(framework, variant)
        self.is_asgi = framework == "fastapi"
        self.loop = asyncio.new_event_loop()
        self.answered = 0

    def drive(self, first: int, count: int) -> None:
        """Answer `count` requests."""
        before = self.answered
        if self.is_asgi:
            self.loop.run_until_complete(self._asgi(first, count))
        else:
            for index in range(first, first + count):
                self._wsgi(index)
        if self.answered - before != count:
            raise AssertionError(f"{self.answered - before} of {count} requests were answered with 200")

    async def _asgi(self, first: int, count: int) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self.answered += 1

        for index in range(first, first + count):
            await self.loop.create_task(self.app(scope(index), receive, send))  # a task each, as uvicorn does

    def _wsgi(self, index: int) -> None:
        def start_response(status: str, _headers: Any, _error: Any = None) -> None:
            self.answered += status.startswith("200")

        body = self.app(environ(index), start_response)
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()


def say(**facts: object) -> None:
    """Send a line to run.py."""
    REPLIES.write(json.dumps(facts) + "\n")
    REPLIES.flush()


def main() -> None:
    """Serve `go N` lines: drive N requests and say the CPU time of this thread and of the process."""
    driver = Driver(sys.argv[1], sys.argv[2])
    driver.drive(0, WARM_UP)
    apps.flush()
    gc.collect()
    say(ready=True, pid=os.getpid())
    done = WARM_UP
    for line in sys.stdin:
        count = int(line)
        thread, process = time.thread_time(), time.process_time()
        driver.drive(done, count)
        apps.flush()
        thread_us = (time.thread_time() - thread) / count * 1e6
        say(thread_us=thread_us, cpu_us=(time.process_time() - process) / count * 1e6)
        done += count
    os._exit(0)


if __name__ == "__main__":
    main()
