"""The limits of a model, and the store that counts what has been taken of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["Grant", "Limits", "MemoryStore", "Store"]

SLOTS: Final = 60
LEAST_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a provider allows for one model.

    Attributes:
        requests: calls in a window, at least 1. Source: 500 a minute for Gemini.
        tokens: tokens in a window, input and output, at least 1. Source: 2,000,000 a minute for Gemini.
        window_s: length of the window in seconds; whatever window of that length one looks at, it has no more.
        burst_s: so many seconds' worth may go at once after a rest; the rest is paced.
        decrease: what a refusal (429) leaves of the pace, above 0 and below 1.
        increase: what each second without a refusal adds, as a share of the full pace.
    """

    requests: float = 500
    tokens: float = 2_000_000
    window_s: float = 60.0
    burst_s: float = 10.0
    decrease: float = 0.9
    increase: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A store's answer to a call that wants to go.

    Attributes:
        wait_s: 0 when it may go; else in how many seconds to ask again.
        starts_in_s: where it may go, in how many seconds; its place is kept until then.
        is_daily: whether it is the day's quota that it waits for.
        share: the pace in force, as a share of the full one.
    """

    wait_s: float = 0.0
    starts_in_s: float = 0.0
    is_daily: bool = False
    share: float = 1.0


GO: Final = Grant()


class Store(Protocol):
    """Counts what was taken of a model's limits. Every method is thread-safe and returns in bounded time.

    Attributes:
        is_remote: whether a method may take longer than a few microseconds.
    """

    is_remote: bool

    def take(self, lane: str, limits: Limits, tokens: int, now: float) -> Grant:
        """Take one call and its tokens, or say in how many seconds to ask again."""

    def settle(self, lane: str, limits: Limits, tokens: int, now: float) -> None:
        """Tell that a call has used so many tokens more than it took, or fewer (below 0)."""

    def refused(self, lane: str, limits: Limits, pause_s: float, now: float, *, is_daily: bool) -> None:
        """Tell that the provider has refused a call: nobody goes for `pause_s` seconds, and slower from then on."""


class _Account:
    """One model's counts: a window in slots, and one pace each for calls and tokens."""

    __slots__ = (
        "calls",
        "cut_at",
        "daily_until",
        "next_call",
        "next_token",
        "paused_until",
        "share",
        "slots",
        "tokens",
    )

    def __init__(self) -> None:
        self.slots: dict[int, list[float]] = {}
        self.calls = self.tokens = 0.0
        self.next_call = self.next_token = 0.0
        self.paused_until = self.daily_until = self.cut_at = 0.0
        self.share = 1.0

    def forget(self, oldest: int) -> None:
        while self.slots:
            first = next(iter(self.slots))
            if first >= oldest:
                return
            calls, tokens = self.slots.pop(first)
            self.calls -= calls
            self.tokens -= tokens

    def add(self, slot: int, calls: int, tokens: float) -> None:
        kept = self.slots.get(slot)
        if kept is None:
            kept = self.slots[slot] = [0, 0]
        kept[0] += calls
        kept[1] += tokens
        self.calls += calls
        self.tokens += tokens


class MemoryStore:
    """Counts for one process."""

    is_remote = False

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self.renew_lock()

    def renew_lock(self) -> None:
        """Forget a lock that a thread of the parent process may hold."""
        self._lock = threading.Lock()

    def take(self, lane: str, limits: Limits, tokens: int, now: float) -> Grant:
        """Take one call and its tokens, or say in how many seconds to ask again."""
        with self._lock:
            account = self._accounts.get(lane)
            if account is None:
                account = self._accounts[lane] = _Account()
            return _take(account, limits, tokens, now)

    def settle(self, lane: str, limits: Limits, tokens: int, now: float) -> None:
        """Tell that a call has used so many tokens more than it took, or fewer."""
        with self._lock:
            account = self._accounts.setdefault(lane, _Account())
            account.add(int(now * SLOTS / limits.window_s), 0, tokens)
            account.next_token += tokens * limits.window_s / (limits.tokens * account.share)

    def refused(self, lane: str, limits: Limits, pause_s: float, now: float, *, is_daily: bool) -> None:
        """Tell that the provider has refused a call."""
        with self._lock:
            account = self._accounts.setdefault(lane, _Account())
            if is_daily:
                account.daily_until = max(account.daily_until, now + pause_s)
                return
            if now >= account.cut_at:  # the calls that were under way at the first refusal say nothing new
                account.share = max(LEAST_SHARE, _share(account, limits, now) * limits.decrease)
            account.paused_until = max(account.paused_until, now + pause_s)
            account.cut_at = max(account.paused_until, now + 1.0)
            # Nothing has been saved up when the pause ends, so that not all who wait come at once.
            account.next_call = max(account.next_call, account.paused_until + limits.burst_s)
            account.next_token = max(account.next_token, account.paused_until + limits.burst_s)


def _share(account: _Account, limits: Limits, now: float) -> float:
    return min(1.0, account.share + limits.increase * max(0.0, now - account.cut_at))


def _take(account: _Account, limits: Limits, tokens: int, now: float) -> Grant:
    if now < account.daily_until:
        return Grant(wait_s=account.daily_until - now, is_daily=True, share=account.share)
    wanted = min(tokens, limits.tokens)
    share = 1.0 if account.share >= 1.0 else _share(account, limits, now)
    ready = max(account.paused_until, account.next_call - limits.burst_s, account.next_token - limits.burst_s)
    slot = int(now * SLOTS / limits.window_s)
    account.forget(slot - SLOTS)
    if account.calls + 1 > limits.requests or (account.tokens and account.tokens + wanted > limits.tokens):
        ready = max(ready, _room_at(account, limits, wanted))
    if ready > now:
        return Grant(wait_s=ready - now, share=share)
    account.add(slot, 1, wanted)
    if share >= 1.0:
        account.share = 1.0
    account.next_call = max(account.next_call, now) + limits.window_s / (limits.requests * share)
    account.next_token = max(account.next_token, now) + wanted * limits.window_s / (limits.tokens * share)
    return GO if share >= 1.0 else Grant(share=share)


def _room_at(account: _Account, limits: Limits, tokens: float) -> float:
    """Return when enough old slots will have left the window."""
    calls, taken, last = account.calls, account.tokens, 0
    for slot, (slot_calls, slot_tokens) in account.slots.items():
        if calls + 1 <= limits.requests and (not taken or taken + tokens <= limits.tokens):
            break
        calls, taken, last = calls - slot_calls, taken - slot_tokens, slot
    return (last + SLOTS + 1) * limits.window_s / SLOTS
