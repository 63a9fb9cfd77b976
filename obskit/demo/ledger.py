"""What the fake Gemini billed: an account that is independent of everything that obskit counts."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Bill", "Ledger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Token counts in the API's own terms, as `usageMetadata` reports them.

    Attributes:
        prompt: tokens of the prompt, cached ones included.
        cached: those of the prompt that came from a cache.
        tool_use: prompt tokens of server-side tools.
        candidates: tokens of the reply.
        thoughts: tokens of thinking.
    """

    prompt: int = 0
    cached: int = 0
    tool_use: int = 0
    candidates: int = 0
    thoughts: int = 0

    @property
    def billed_input(self) -> int:
        """Tokens billed as input."""
        return self.prompt + self.tool_use

    @property
    def billed_output(self) -> int:
        """Tokens billed as output."""
        return self.candidates + self.thoughts

    def times(self, factor: int) -> Bill:
        """Return the same bill with every count multiplied."""
        return Bill(
            prompt=self.prompt * factor,
            cached=self.cached * factor,
            tool_use=self.tool_use * factor,
            candidates=self.candidates * factor,
            thoughts=self.thoughts * factor,
        )

    def usage_metadata(self, *, candidates: int | None = None) -> dict[str, int]:
        """Return the API's `usageMetadata`; zero counts are left out, as Gemini does.

        Args:
            candidates: reply tokens so far, for a chunk in the middle of a stream.
        """
        so_far = self if candidates is None else replace(self, candidates=candidates)
        counts = {
            "promptTokenCount": so_far.prompt,
            "cachedContentTokenCount": so_far.cached,
            "toolUsePromptTokenCount": so_far.tool_use,
            "candidatesTokenCount": so_far.candidates,
            "thoughtsTokenCount": so_far.thoughts,
            "totalTokenCount": so_far.billed_input + so_far.billed_output,
        }
        return {name: count for name, count in counts.items() if count}


class Ledger:
    """Counts calls, failures and billed tokens. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bills: Counter[tuple[str, str, Bill]] = Counter()
        self._failures: Counter[tuple[str, str, int]] = Counter()
        self._function_calls = 0
        self._units: Counter[tuple[str, str]] = Counter()

    def bill_units(self, model: str, unit: str, amount: int) -> None:
        """Enter what is billed otherwise than by token: images, seconds, searches, token-seconds of a cache."""
        with self._lock:
            self._units[(model, unit)] += amount

    def units(self) -> dict[tuple[str, str], int]:
        """Return the amounts by (model, unit)."""
        with self._lock:
            return dict(self._units)

    def bill(self, model: str, method: str, bill: Bill, *, is_function_call: bool = False) -> None:
        """Enter one successful call, and whether its answer was to ask for a function."""
        with self._lock:
            self._bills[(model, method, bill)] += 1
            self._function_calls += is_function_call

    def fail(self, model: str, method: str, status: int) -> None:
        """Enter one refused call."""
        with self._lock:
            self._failures[(model, method, status)] += 1

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._bills.clear()
            self._failures.clear()
            self._function_calls = 0
            self._units.clear()

    def bills(self) -> list[tuple[str, str, Bill, int]]:
        """Return (model, method, bill, how many calls had that very bill)."""
        with self._lock:
            return [(model, method, bill, count) for (model, method, bill), count in self._bills.items()]

    def total(self, model: str | None = None) -> Bill:
        """Return the sum over all calls, or over those of one model."""
        sums = Counter[str]()
        for name, _, bill, count in self.bills():
            if model is None or name == model:
                for kind in ("prompt", "cached", "tool_use", "candidates", "thoughts"):
                    sums[kind] += getattr(bill, kind) * count
        return Bill(**sums)

    def calls(self, method: str | None = None) -> int:
        """Return the number of successful calls, of one method or of all that are billed."""
        return sum(count for _, name, _, count in self.bills() if method in (None, name))

    @property
    def function_calls(self) -> int:
        """How many answers asked the caller to run a function."""
        return self._function_calls

    def failures(self, status: int | None = None) -> int:
        """Return the number of refused calls, with one status or with any."""
        with self._lock:
            return sum(count for (_, _, code), count in self._failures.items() if status in (None, code))

    def to_dict(self) -> dict[str, Any]:
        """Return the account as JSON-ready data: by model, by method, failures by status."""
        models: dict[str, dict[str, int]] = {}
        methods: Counter[str] = Counter()
        for model, method, bill, count in self.bills():
            row = models.setdefault(model, dict.fromkeys((*_KINDS, "calls"), 0))
            methods[method] += count
            row["calls"] += count
            for kind in _KINDS:
                row[kind] += getattr(bill, kind) * count
        with self._lock:
            failures = Counter[str]()
            for (_, _, status), count in self._failures.items():
                failures[str(status)] += count
        return {
            "models": models,
            "methods": dict(methods),
            "failures": dict(failures),
            "function_calls": self._function_calls,
        }


_KINDS = ("prompt", "cached", "tool_use", "candidates", "thoughts")
