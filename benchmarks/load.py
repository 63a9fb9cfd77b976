"""A small HTTP load generator on one thread, run in a process of its own; prints one JSON line.

`load.py PORT closed SECONDS CONNECTIONS`: each connection asks again as soon as it is answered.
`load.py PORT paced SECONDS CONNECTIONS RATE`: evenly paced whatever the answers do; latency counts from the time
that a request was due, so that a stall is felt by all who wait behind it.
`load.py PORT stream BYTES`: reads one streamed response of so many bytes.
"""

from __future__ import annotations

import gc
import json
import random
import re
import selectors
import socket
import sys
import time
from collections import deque
from typing import Any

_random = random.Random(2)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(path: str) -> bytes:
    """Return a GET request as Cloud Run would send it."""
    trace = f"{_random.getrandbits(128):032x}"
    headers = {
        "Host": "svc-abc-ew.a.run.app",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate, br",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "Forwarded": 'for="203.0.113.7";proto=https',
        "traceparent": f"00-{trace}-{_random.getrandbits(64):016x}-01",
        "X-Cloud-Trace-Context": f"{trace}/123;o=1",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


class Connection:
    """A keep-alive connection with at most one request on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self._received = b""

    def ask(self, text: bytes, due: float) -> None:
        """Send a request."""
        self.due = due
        self.socket.send(text)

    def is_answered(self) -> bool:
        """Read; return whether the response is complete.

        Raises:
            RuntimeError: it is not 200, or the server closed the connection.
        """
        chunk = self.socket.recv(65536)
        if not chunk:
            raise RuntimeError("the server closed a connection")
        self._received += chunk
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise RuntimeError(f"an answer begins with {head[:80]!r}")
        if len(body) < int(length[1]):
            return False
        self._received = b""
        return True


class Load:
    """Many connections, and when each request was due and how long it took."""

    def __init__(self, port: int, connections: int) -> None:
        self.requests = [request(f"/items/{number}") for number in range(997)]
        self.idle = deque(Connection(port) for _ in range(connections))
        self.poll = selectors.EpollSelector()
        for connection in self.idle:
            self.poll.register(connection.socket, selectors.EVENT_READ, connection)
        self.sent = 0
        self.samples: list[tuple[float, float]] = []

    def _ask(self, connection: Connection, due: float) -> None:
        connection.ask(self.requests[self.sent % 997], due)
        self.sent += 1

    def _collect(self, timeout: float) -> list[Connection]:
        answered = [key.data for key, _ in self.poll.select(timeout) if key.data.is_answered()]
        now = time.monotonic()
        self.samples.extend((connection.due, now - connection.due) for connection in answered)
        return answered

    def closed(self, seconds: float) -> None:
        """Keep every connection busy."""
        end = time.monotonic() + seconds
        while self.idle:
            self._ask(self.idle.popleft(), time.monotonic())
        busy = self.sent
        while busy:
            for connection in self._collect(10):
                now = time.monotonic()
                if now < end:
                    self._ask(connection, now)
                else:
                    self.idle.append(connection)
                    busy -= 1

    def paced(self, seconds: float, rate: float) -> None:
        """Ask at an even pace."""
        begin = time.monotonic() + 0.01
        total = int(seconds * rate)
        while len(self.samples) < total:
            now = time.monotonic()
            while self.idle and self.sent < total and begin + self.sent / rate <= now:
                self._ask(self.idle.popleft(), begin + self.sent / rate)
            is_late = not self.idle or self.sent == total
            wait = 1.0 if is_late else max(0.0, begin + self.sent / rate - time.monotonic())
            self.idle.extend(self._collect(wait))


def stream(port: int, size_bytes: int) -> dict[str, Any]:
    """Read one long response; return how fast it came."""
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(b"GET /stream HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    buffer = memoryview(bytearray(1 << 20))
    received, begun = 0, time.monotonic()
    while count := connection.recv_into(buffer):
        received += count
    seconds = time.monotonic() - begun
    if received < size_bytes:
        raise RuntimeError(f"{received} of {size_bytes} bytes came")
    return {"mib_per_s": size_bytes / 2**20 / seconds}


def main() -> None:
    """Make the load and print what was seen."""
    port, mode, *numbers = int(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:])
    gc.disable()
    if mode == "stream":
        print(json.dumps(stream(port, int(numbers[0]))))
        return
    load = Load(port, int(numbers[1]))
    begun = time.monotonic()
    getattr(load, mode)(numbers[0], *numbers[2:])
    rate = len(load.samples) / (time.monotonic() - begun)
    print(json.dumps({"rps": rate, "samples": load.samples if mode == "paced" else []}))


if __name__ == "__main__":
    main()
