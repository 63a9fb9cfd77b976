"""Calls that wait for their turn."""

from __future__ import annotations

from collections.abc import Callable

from obskit.llm.guarding.queues import Priority

__all__ = ["Waiter"]


class Waiter:
    """A call before it is made."""

    __slots__ = (
        "_wake",
        "ask_at",
        "client",
        "cost",
        "deadline",
        "is_probe",
        "priority",
        "starts_in_s",
        "tokens",
        "turn",
    )

    def __init__(self, *, client: str, priority: Priority, tokens: int, deadline: float) -> None:
        self.client, self.priority, self.tokens, self.deadline = client, priority, tokens, deadline
        self.cost = 1.0
        self.turn: float | None = None
        self.ask_at = self.starts_in_s = 0.0
        self.is_probe = False
        self._wake: Callable[[], object] | None = None

    def wake(self) -> None:
        """Have it look again; it may be in another thread or loop."""
        if self._wake is not None:
            self._wake()
