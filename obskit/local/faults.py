"""Faults on demand: what a test makes the local backend do that Google's services do now and then."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["Failure", "Faults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer that is no success.

    Attributes:
        code: the gRPC status name, e.g. ``UNAVAILABLE``.
        message: for people.
        is_after: whether the call is carried out and only its answer is lost.
        retry_after_s: what the answer asks to wait, 0 for nothing.
    """

    code: str
    message: str
    is_after: bool = False
    retry_after_s: float = 0.0


@dataclass(slots=True)
class _Rule:
    method: str
    failure: Failure
    skip: int
    times: int


class Faults:
    """Counts the calls of Google's object services, and makes some of them fail. Safe for threads.

    Attributes:
        calls: how often each method was called, by its short name, e.g. ``ListAlertPolicies``.
        denied: permissions that nobody has.
        is_serial: whether a write of alert policies or channels beside another one fails with 409, as at Google;
            they wait for each other otherwise.
        write_takes_s: how long each write holds its place in that line.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.denied: set[str] = set()
        self.is_serial = False
        self.write_takes_s = 0.0
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def fail(  # each is one trait of a failure
        self,
        method: str,
        code: str,
        message: str = "injected",
        *,
        skip: int = 0,
        times: int = 1,
        is_after: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        """Let calls fail.

        Args:
            method: a pattern of short names, e.g. ``Create*``.
            code: the gRPC status name.
            message: for people.
            skip: so many calls go well first.
            times: so many calls fail then.
            is_after: whether the call is carried out and only its answer is lost.
            retry_after_s: what the answer asks to wait.
        """
        failure = Failure(code=code, message=message, is_after=is_after, retry_after_s=retry_after_s)
        with self._lock:
            self._rules.append(_Rule(method, failure, skip, times))

    def clear(self) -> None:
        """Forget the failures, denials and counts."""
        with self._lock:
            self._rules.clear()
            self.calls.clear()
            self.denied.clear()

    def called(self, method: str) -> Failure | None:
        """Count a call and return how it is to fail, None where it is not."""
        with self._lock:
            self.calls[method] += 1
            for rule in self._rules:
                if not rule.times or not fnmatchcase(method, rule.method):
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.times -= 1
                return rule.failure
        return None

    @contextmanager
    def in_line(self) -> Iterator[bool]:
        """Give one write after the other its turn; False where it came beside another one and that is a failure."""
        if not self._writing.acquire(blocking=not self.is_serial):
            yield False
            return
        try:
            yield True
        finally:
            self._writing.release()
