"""What a fork leaves behind: locks that a thread of the parent held, and threads that gevent is about to replace."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

__all__ = ["once_threads_last", "renew_locks"]

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


def once_threads_last(start: Callable[[], None]) -> None:
    """Call `start` now, or, where gevent is at work, when it is ready.

    A gevent worker of gunicorn that was forked of a loaded app replaces threads and locks after the fork. A thread
    that was started before would wait for locks of one kind that are released by the other, for ever. Where they are
    replaced already, gevent's own hook has to find no other thread, and a child that becomes another program needs
    none.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        import_module("gevent").get_hub().loop.run_callback(start)
        return
    if monkey is None or "gunicorn.workers.ggevent" not in sys.modules:
        start()
        return
    events: Any = import_module("gevent.events")

    def ready(event: object) -> None:
        if isinstance(event, events.GeventDidPatchAllEvent):
            events.subscribers.remove(ready)
            start()

    events.subscribers.append(ready)
