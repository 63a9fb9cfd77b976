"""Real HTTP requests against the two services, paced, bounded, and counted at the sender."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.demo.script import TIERS, Phase

__all__ = ["CHATBOT", "KINDS", "SHOP", "Kind", "Traffic"]

CHATBOT: Final = "chatbot"
SHOP: Final = "shop"

_WORKERS: Final = 8  # so many that three a second may take 2.4 s each; more would only wait for each other
_TIMEOUT_S: Final = 20.0
_USERS: Final = 12
_QUESTIONS: Final = (
    "What is the difference between a cortado and a flat white?",
    "Which of your beans would you take for espresso?",
    "How fine should I grind for a pour-over?",
    "Is there a coffee that lets me sleep at night?",
    "My coffee tastes sour. What can I do about it?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of request.

    Attributes:
        service: which service it goes to.
        method: HTTP method.
        path: path and query.
        body: sent as JSON; None sends none. A `text` of None is filled with a question.
    """

    service: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None


_ASK: Final = {"text": None}
KINDS: Final[Mapping[str, Kind]] = {
    "chat": Kind(service=CHATBOT, method="POST", path="/chat", body=_ASK),
    "chat_sync": Kind(service=CHATBOT, method="POST", path="/chat/sync", body=_ASK),
    "chat_stream": Kind(service=CHATBOT, method="POST", path="/chat/stream", body=_ASK),
    "recommend": Kind(service=CHATBOT, method="POST", path="/recommend", body=_ASK),
    "products": Kind(service=SHOP, method="GET", path="/products"),
    "product": Kind(service=SHOP, method="GET", path="/products/espresso"),
    "missing": Kind(service=SHOP, method="GET", path="/products/teapot"),
    "checkout": Kind(
        service=SHOP, method="POST", path="/checkout", body={"items": ["espresso", "filter"], "coupon": "WELCOME"}
    ),
    "restock": Kind(service=SHOP, method="POST", path="/restock"),
    "checkout_unknown_coupon": Kind(
        service=SHOP, method="POST", path="/checkout", body={"items": ["grinder"], "coupon": "AUTUMN26"}
    ),
}


class Traffic:
    """Sends requests from a few threads and counts what came back.

    Args:
        addresses: host and port by service.
    """

    def __init__(self, addresses: Mapping[str, tuple[str, int]]) -> None:
        self._addresses = addresses
        self._jobs: queue.Queue[tuple[Kind, Sequence[str]] | None] = queue.Queue(maxsize=_WORKERS)
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._failures: list[str] = []
        self._told_to_wait = 0
        self._serial = itertools.count()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name="obskit-traffic", daemon=True) for _ in range(_WORKERS)
        ]
        for thread in self._threads:
            thread.start()

    # ------------------------------------------------------------------ sending

    def play(
        self,
        phase: Phase,
        length_s: float,
        tick: Callable[[], None] = lambda: None,
        goes_on: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send the phase's requests, evenly spread over its length; stops early once `interrupt` was called.

        Args:
            phase: rate and mix.
            length_s: real seconds.
            tick: is called after each request.
            goes_on: is asked before each request after that time; the phase is over when it says no.
        """
        begun, gap = time.monotonic(), 1 / phase.rate
        kinds = _rotation(phase.mix)
        for number in itertools.count():
            is_late = number * gap >= length_s
            wanted = begun + (max(length_s, (number - 1) * gap) if is_late else number * gap)
            if self._stopping.wait(max(0.0, wanted - time.monotonic())) or (is_late and not goes_on()):
                return
            self._jobs.put((KINDS[next(kinds)], phase.tiers))
            tick()

    def wait_idle(self, timeout_s: float = 30.0) -> bool:
        """Wait until every request has been answered."""
        deadline = time.monotonic() + timeout_s
        with self._jobs.all_tasks_done:
            while self._jobs.unfinished_tasks:
                if not self._jobs.all_tasks_done.wait(deadline - time.monotonic()):
                    return False
        return True

    def interrupt(self) -> None:
        """Let `play` return at once. Safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Send nothing more, and wait for what is under way."""
        self._stopping.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
                self._jobs.task_done()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(_TIMEOUT_S)

    # ------------------------------------------------------------------ counting

    def requests(self, service: str | None = None) -> int:
        """Return how many requests were answered."""
        with self._lock:
            return sum(count for (name, _, _), count in self._answers.items() if service in (None, name))

    def answers(self, service: str, *, path: str | None = None, status: int | None = None) -> int:
        """Return how many requests to a service, of one path, were answered, with one status."""
        with self._lock:
            return sum(
                count
                for (name, where, code), count in self._answers.items()
                if name == service and path in (None, where) and status in (None, code)
            )

    def told_to_wait(self) -> int:
        """Return how many answers were a 429 with a `Retry-After`."""
        with self._lock:
            return self._told_to_wait

    def failures(self) -> list[str]:
        """Return what went wrong on the way, one text a request that got no answer."""
        with self._lock:
            return list(self._failures)

    # ------------------------------------------------------------------ the threads

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._send(*job)
            finally:
                self._jobs.task_done()
        self._jobs.task_done()

    def _send(self, kind: Kind, tiers: Sequence[str]) -> None:
        number = next(self._serial)
        # One connection a request: on a kept one, a request may meet its closing, and then nobody knows if it counts.
        connection = http.client.HTTPConnection(*self._addresses[kind.service], timeout=_TIMEOUT_S)
        try:
            connection.request(kind.method, kind.path, body=_body(kind, number), headers=_headers(number, tiers))
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self._failures.append(f"{kind.method} {kind.path}: {type(error).__name__}: {error}")
            return
        finally:
            connection.close()
        with self._lock:
            self._answers[(kind.service, kind.path, response.status)] += 1
            self._told_to_wait += response.status == 429 and int(response.headers.get("Retry-After", "0")) > 0


def _rotation(mix: Mapping[str, int]) -> Iterator[str]:
    """Yield kinds by weight, well mixed, in an order that never changes."""
    owed = dict.fromkeys(mix, 0.0)
    total = sum(mix.values())
    while True:
        for kind, weight in mix.items():
            owed[kind] += weight / total
        kind = max(owed, key=lambda name: owed[name])
        owed[kind] -= 1.0
        yield kind


def _body(kind: Kind, number: int) -> bytes | None:
    if kind.body is None:
        return None
    question = _QUESTIONS[number % len(_QUESTIONS)]
    return json.dumps({name: question if value is None else value for name, value in kind.body.items()}).encode()


def _headers(number: int, tiers: Sequence[str]) -> dict[str, str]:
    tier = tiers[number % len(tiers)]
    user = TIERS.index(tier) + len(TIERS) * (number // len(tiers) % (_USERS // len(TIERS)))
    return {
        "Content-Type": "application/json",
        "Connection": "close",
        "User-Agent": "obskit-demo",
        "X-User-Id": f"user-{user:02d}",
        "X-Session-Id": f"session-{number // 12 % 100:03d}",
        "X-User-Tier": tier,
    }
