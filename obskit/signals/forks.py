"""Locks of OpenTelemetry's SDK after a fork: a thread that exists in the parent only may have held them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["renew_locks"]

_RLOCK: Final = type(threading.RLock())


def renew_locks(reader: Any) -> None:
    """Give new locks to all that stands between an instrument and this reader; called in the child.

    The SDK records a measurement under a lock for each series. Had another thread of the parent held one of them at
    the moment of the fork, the child's first request that records there would wait for it for ever.
    """
    for holder in _holders(reader):
        lock = getattr(holder, "_lock", None)
        if lock is not None:
            holder._lock = threading.RLock() if isinstance(lock, _RLOCK) else threading.Lock()  # noqa: SLF001


def _holders(reader: Any) -> Iterator[Any]:
    # None of these names is public: what another version calls otherwise is passed over, and keeps its locks.
    consumer = getattr(getattr(reader, "_collect", None), "__self__", None)
    yield consumer
    for storage in getattr(consumer, "_reader_storages", {}).values():
        yield storage
        for matches in getattr(storage, "_instrument_view_instrument_matches", {}).values():
            for match in matches:
                yield match
                for aggregation in getattr(match, "_attributes_aggregation", {}).values():
                    yield aggregation
                    yield getattr(aggregation, "_reservoir", None)
