"""The memory destination keeps everything, for tests."""

from __future__ import annotations

from telemetry import CONFIG, report, resource, snapshot, spans

from obskit import catalog
from obskit.exporters import memory
from obskit.signals.delivery import Outcome


def test_keeps_what_is_sent() -> None:
    """Spans and errors add up, a snapshot replaces the one before, and `clear` forgets all."""
    store = memory.Store()
    destination = memory.MemoryDestination(store)
    assert destination.export_spans(spans(2), 1.0) == Outcome(delivered=2)
    destination.export_spans(spans(1), 1.0)
    destination.export_errors([report()], 1.0)
    destination.export_metrics(snapshot(catalog.AI_COST), 1.0)
    last = snapshot(catalog.AI_TOKENS)
    destination.export_metrics(last, 1.0)
    assert (len(store.spans), len(store.errors), store.metrics) == (3, 1, last)
    store.clear()
    assert (store.spans, store.errors, store.metrics) == ((), (), None)


def test_the_setting_uses_the_process_wide_store() -> None:
    """What `exporters="memory"` makes delivers into the one store that `obskit.testing` reads."""
    memory.STORE.clear()
    memory.create(CONFIG, resource()).export_errors([report()], 1.0)
    assert len(memory.STORE.errors) == 1
    memory.STORE.clear()
