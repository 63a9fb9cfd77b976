"""The books in Redis: one script does everything, by Redis' own clock, for all processes and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from obskit.errors import ConfigError, Problem
from obskit.llm.budgets.ledger import KEEP_MS, REMEMBERED_MS, STEP_BACK_MS, Balance, Outcome, Request
from obskit.llm.budgets.limits import SLOTS

__all__ = ["RedisStore"]

_SCRIPT: Final = (Path(__file__).parent / "ledger.lua").read_text(encoding="utf-8")
_HEAD: Final = 6


class RedisStore:
    """Keeps the books in Redis 5 or newer, or in what speaks its protocol and runs its scripts (Valkey, Memorystore).

    Keys are ``PREFIX:ACCOUNT`` and ``PREFIX:ACCOUNT:holds``. The braces in the prefix keep all of them on one node of
    a cluster, since one script works on several. Keys vanish after 40 days without use. User and session ids are
    stored as hashes.

    Args:
        redis: a URL such as ``redis://localhost:6379/0`` or ``unix:///run/redis.sock``, or a client of the package
            `redis` (the synchronous one). A client made from a URL tries each request once, within the timeout of
            the budgets; your own keeps its own settings.
        prefix: of the keys.

    Raises:
        ConfigError: the package `redis` is not installed.
    """

    is_local = False

    def __init__(self, redis: Any, *, prefix: str = "{obskit:budgets}") -> None:
        self._prefix = prefix
        self._url = redis if isinstance(redis, str) else None
        self._package: Any = _import_redis() if self._url is not None else None
        self._script: Any = None if self._url is not None else redis.register_script(_SCRIPT)

    def apply(self, request: Request, *, timeout_s: float) -> Outcome:
        """Do what is asked; see `Store.apply`."""
        script = self._script or self._connect(timeout_s)
        keys = [
            key
            for account in request.accounts
            for key in (f"{self._prefix}:{account.key}", f"{self._prefix}:{account.key}:holds")
        ]
        return _outcome(script(keys=keys, args=_arguments(request)))

    def _connect(self, timeout_s: float) -> Any:
        redis = self._package
        client = redis.Redis.from_url(
            self._url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            client_name="obskit-budgets",
        )
        self._script = client.register_script(_SCRIPT)
        return self._script


def _import_redis() -> Any:
    try:
        import redis  # noqa: PLC0415 - an extra, for those who keep their budgets in it
        import redis.backoff  # noqa: PLC0415
        import redis.retry  # noqa: PLC0415
    except ImportError as error:
        problem = Problem(
            place="RedisStore",
            problem="the package redis is not installed",
            way_out='Install it with pip install "obskit[redis]"',
        )
        raise ConfigError(problem) from error
    return redis


def _arguments(request: Request) -> list[str | int]:
    windows = request.windows
    return [
        request.verb,
        request.id,
        request.ttl_ms,
        *request.reserved,
        *request.used,
        windows.day_start_ms,
        windows.day_end_ms,
        windows.month_start_ms,
        *request.granted,
        STEP_BACK_MS,
        REMEMBERED_MS,
        KEEP_MS,
        *(number for account in request.accounts for number in (*account.limits, *account.warnings)),
    ]


def _outcome(answer: list[Any]) -> Outcome:
    status = answer[0].decode() if isinstance(answer[0], bytes) else str(answer[0])
    now_ms = int(answer[1])
    if status == "stale":
        return Outcome(status="stale", now_ms=now_ms)
    numbers = [int(number) for number in answer[2:]]
    day, month, account, slot = numbers[: _HEAD - 2]
    each = [numbers[start : start + len(SLOTS)] for start in range(_HEAD - 2, len(numbers), len(SLOTS))]
    return Outcome(
        status="refused" if account else "ok",
        now_ms=now_ms,
        granted=(day, month),
        refused=(account - 1, slot - 1) if account else None,
        balances=tuple(
            Balance(
                used=tuple(used),
                held=tuple(held),
                warned=tuple(map(bool, warned)),
                exhausted=tuple(map(bool, exhausted)),
            )
            for used, held, warned, exhausted in zip(*[iter(each)] * 4, strict=True)
        ),
    )
