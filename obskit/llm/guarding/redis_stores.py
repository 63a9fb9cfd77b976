"""Limits that several processes keep together, counted in Redis by one script and by Redis's own clock."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from obskit.errors import Problem
from obskit.llm.guarding.errors import StoreDownError
from obskit.llm.guarding.limits import LEAST_SHARE, SLOTS, Grant, Limits, MemoryStore

__all__ = ["RedisStore"]

_log = logging.getLogger("obskit")

_SCRIPT: Final = """
local key, what = KEYS[1], ARGV[1]
local requests, tokens_most, window, burst = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local decrease, increase, least = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local tokens, pause, slots, ahead = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local kept = redis.call('HMGET', key, 'paused', 'daily', 'cut', 'share', 'call', 'token')
local function num(i, otherwise) return tonumber(kept[i] or otherwise) or otherwise end
local paused, daily, cut, share = num(1, 0), num(2, 0), num(3, 0), num(4, 1)
local next_call, next_token = num(5, 0), num(6, 0)
local in_force = math.min(1, share + increase * math.max(0, now - cut))
local function text(number) return string.format('%.6f', number) end
local function stay(seconds)
  local ttl = math.ceil(math.max(seconds, window * 2) * 1000)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
if what == 'daily' then
  redis.call('HSET', key, 'daily', text(math.max(daily, now + pause)))
  stay(pause + window)
  return {'0', '0', '1'}
end
if what == 'refused' then
  if now >= cut then share = math.max(least, in_force * decrease) end
  paused = math.max(paused, now + pause)
  cut = math.max(paused, now + 1)
  redis.call('HSET', key, 'share', text(share), 'paused', text(paused), 'cut', text(cut),
    'call', text(math.max(next_call, paused + burst)), 'token', text(math.max(next_token, paused + burst)))
  stay(pause + burst + window)
  return {'0', '0', text(share)}
end
local slot = math.floor(now * slots / window)
if what == 'settle' then
  redis.call('HINCRBYFLOAT', key, 't' .. slot, tokens)
  redis.call('HSET', key, 'token', text(next_token + tokens * window / (tokens_most * in_force)))
  stay(window)
  return {'0', '0', text(in_force)}
end
if now < daily then return {text(daily - now), '1', text(in_force)} end
local wanted = math.min(tokens, tokens_most)
local at = math.max(now, paused, next_call - burst, next_token - burst)
local calls, taken, by_slot = 0, 0, {}
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local kind, which = string.sub(all[i], 1, 1), tonumber(string.sub(all[i], 2))
  if which and (kind == 'n' or kind == 't') then
    if which < slot - slots then
      redis.call('HDEL', key, all[i])
    else
      local entry = by_slot[which] or {0, 0}
      local count = tonumber(all[i + 1])
      if kind == 'n' then entry[1] = entry[1] + count calls = calls + count
      else entry[2] = entry[2] + count taken = taken + count end
      by_slot[which] = entry
    end
  end
end
local function is_full() return calls + 1 > requests or (taken > 0 and taken + wanted > tokens_most) end
if is_full() then
  local order = {}
  for which in pairs(by_slot) do table.insert(order, which) end
  table.sort(order)
  for _, which in ipairs(order) do
    if not is_full() then break end
    calls, taken = calls - by_slot[which][1], taken - by_slot[which][2]
    at = math.max(at, (which + slots + 1) * window / slots)
  end
end
if at - now > ahead then return {text(at - now - ahead / 2), '0', text(in_force)} end
slot = math.floor(at * slots / window)
redis.call('HINCRBY', key, 'n' .. slot, 1)
redis.call('HINCRBYFLOAT', key, 't' .. slot, wanted)
redis.call('HSET', key, 'call', text(math.max(next_call, at) + window / (requests * in_force)),
  'token', text(math.max(next_token, at) + wanted * window / (tokens_most * in_force)))
stay(window)
return {text(now - at), '0', text(in_force)}
"""

_AHEAD_S: Final = 0.25
"""So far ahead a place is given away: processes then go in the order in which they asked, and none has to be lucky."""

_AGAIN_S: Final = 5.0


class RedisStore:
    """Counts for all processes and machines that use the same Redis and prefix.

    Where Redis does not answer within `timeout_s`, each process keeps to the full limits by itself and asks Redis again
    after five seconds; the provider's 429s then slow all of them down. With ``fail_closed``, calls are refused instead.

    Args:
        client: a `redis.Redis`, or a URL such as ``redis://cache:6379/0``. A client of your own should have a
            `socket_timeout` and no retries, which would prolong every call while Redis is down.
        prefix: of the keys, one a model; they expire by themselves.
        timeout_s: longest wait for Redis, in seconds; only for a URL.
        fail_closed: whether no call is made while Redis is down.

    Raises:
        ImportError: the package `redis` is not installed (``pip install obskit[redis]``).
    """

    is_remote = True

    def __init__(
        self, client: Any, *, prefix: str = "obskit:guard:", timeout_s: float = 0.25, fail_closed: bool = False
    ) -> None:
        import redis  # noqa: PLC0415 - an optional dependency

        if isinstance(client, str):
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415

            client = redis.Redis.from_url(
                client,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        self._redis: Any = client
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._script = client.register_script(_SCRIPT)
        self._prefix, self._fail_closed = prefix, fail_closed
        self._alone = MemoryStore()
        self._down_until = 0.0
        self._lock = threading.Lock()

    def take(self, lane: str, limits: Limits, tokens: int, now: float) -> Grant:
        """Take one call and its tokens, or say in how many seconds to ask again.

        Raises:
            StoreDownError: Redis is down, and `fail_closed` is set.
        """
        answer = self._run("take", lane, limits, tokens=tokens)
        if answer is None:
            if self._fail_closed:
                raise StoreDownError(
                    Problem(
                        place=f'guard, model "{lane}"',
                        problem="Redis does not answer, and no call is made without it",
                        way_out="Look after Redis, or leave fail_closed out",
                    ),
                    retry_after_s=max(0.0, self._down_until - time.monotonic()),
                )
            return self._alone.take(lane, limits, tokens, now)
        wait_s, is_daily, share = float(answer[0]), answer[1] in {b"1", "1"}, float(answer[2])
        if wait_s < 0:
            return Grant(starts_in_s=-wait_s, share=share)
        return Grant(wait_s=wait_s, is_daily=is_daily, share=share)

    def settle(self, lane: str, limits: Limits, tokens: int, now: float) -> None:
        """Tell that a call has used so many tokens more than it took, or fewer."""
        if self._run("settle", lane, limits, tokens=tokens) is None:
            self._alone.settle(lane, limits, tokens, now)

    def refused(self, lane: str, limits: Limits, pause_s: float, now: float, *, is_daily: bool) -> None:
        """Tell that the provider has refused a call."""
        if self._run("daily" if is_daily else "refused", lane, limits, pause_s=pause_s) is None:
            self._alone.refused(lane, limits, pause_s, now, is_daily=is_daily)

    def _run(self, what: str, lane: str, limits: Limits, *, tokens: int = 0, pause_s: float = 0.0) -> list[Any] | None:
        if time.monotonic() < self._down_until:
            return None
        numbers = (
            limits.requests,
            limits.tokens,
            limits.window_s,
            limits.burst_s,
            limits.decrease,
            limits.increase,
            LEAST_SHARE,
            tokens,
            pause_s,
            SLOTS,
            _AHEAD_S,
        )
        try:
            answer: list[Any] = self._script(keys=[self._prefix + lane], args=[what, *numbers])
        except self._errors as error:
            with self._lock:
                is_news = time.monotonic() >= self._down_until
                self._down_until = time.monotonic() + _AGAIN_S
            if is_news:
                _log.warning("obskit guard: Redis does not answer, %s: %s", type(error).__name__, error)
            return None
        return answer
