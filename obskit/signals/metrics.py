"""Records points of the catalog's metrics, and keeps each label within its cap."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from obskit import catalog
from obskit._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider

    from obskit.catalog import Metric

__all__ = ["admit", "count_lost", "record", "say_once", "use_provider", "when_replaced"]

_log = logging.getLogger("obskit")

Value = str | int | bool
_Key = tuple[str, tuple[tuple[str, Value], ...]]

_MOST_CHARS: Final = 200
_MOST_KNOWN: Final = 20_000

_lock = threading.RLock()  # re-entrant: a finalizer may record in the middle
_provider: MeterProvider | None = None
_recorders: dict[str, Callable[..., None]] = {}
_seen: dict[tuple[str, str], set[Value]] = {}
_known: dict[_Key, Mapping[str, Value]] = {}
_said: set[str] = set()
_followers: list[Callable[[], object]] = []


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # a thread of the parent may have held the lock
    os.register_at_fork(after_in_child=_renew_lock)


def use_provider(provider: MeterProvider) -> None:
    """Record through this provider from here on, and begin the labels' caps anew."""
    global _provider
    with _lock:
        _provider = provider
        _recorders.clear()
        _seen.clear()
        _known.clear()
    for follow in _followers:
        follow()


def when_replaced(follow: Callable[[], object]) -> None:
    """Have `follow` called whenever another provider has taken the place of the one before."""
    _followers.append(follow)


def record(metric: Metric, value: float, attributes: Mapping[str, Value]) -> None:
    """Record one point. Never raises; a value that is no number, or negative on a counter, is passed over.

    Args:
        metric: from the catalog.
        value: in the metric's unit.
        attributes: only labels that the catalog gives this metric; more values than a label's cap become ``other``.
    """
    try:
        key = (metric.name, tuple(attributes.items()))
        labels = _known.get(key)
        if labels is None:
            labels = _admit(key, metric, attributes)
        if math.isfinite(value):
            (_recorders.get(metric.name) or _recorder(metric))(value, labels)
    except Exception as error:  # noqa: BLE001 - telemetry must not break the app
        say_once(f"{metric.name}: a point was not recorded: {type(error).__name__}: {error}")


def count_lost(signal: str, reason: str, count: int) -> None:
    """Count items that were given up, by their signal and the reason."""
    record(catalog.TELEMETRY_LOST, count, {"obskit.signal": signal, "obskit.reason": reason})


def admit(metric: Metric, attributes: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the labels under which such a point is recorded: those of the catalog, each within its cap."""
    return _admit((metric.name, tuple(attributes.items())), metric, attributes)


def _admit(key: _Key, metric: Metric, attributes: Mapping[str, Value]) -> Mapping[str, Value]:
    caps = {label.name: label.cap for label in metric.labels}
    labels: dict[str, Value] = {}
    with _lock:
        for name, value in attributes.items():
            if name not in caps:
                say_once(f"{metric.name}: label {name!r} is not in the catalog and was left out")
                continue
            labels[name] = _capped(metric.name, name, caps[name], value)
        if len(_known) < _MOST_KNOWN:
            _known[key] = labels
    return labels


def _capped(metric: str, label: str, cap: int, value: Value) -> Value:
    if isinstance(value, str):
        value = value[:_MOST_CHARS].encode("utf-8", "replace").decode()
    seen = _seen.setdefault((metric, label), set())
    if value in seen:
        return value
    if len(seen) >= cap:
        return catalog.OTHER
    seen.add(value)
    return value


def _global_provider() -> MeterProvider:
    from opentelemetry import metrics  # noqa: PLC0415 - takes long, and `instrument` has set a provider

    return metrics.get_meter_provider()


def _recorder(metric: Metric) -> Callable[..., None]:
    meter = (_global_provider() if _provider is None else _provider).get_meter("obskit", __version__)
    record_on: Callable[..., None]
    with _lock:
        if metric.kind is catalog.Kind.COUNTER:
            record_on = meter.create_counter(metric.name, metric.unit, metric.help).add
        elif metric.kind is catalog.Kind.GAUGE:
            record_on = meter.create_gauge(metric.name, metric.unit, metric.help).set
        else:
            bounds: Any = metric.buckets
            record_on = meter.create_histogram(
                metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=bounds
            ).record
        return _recorders.setdefault(metric.name, record_on)


def say_once(text: str) -> None:
    """Log what is wrong with points, once in a process."""
    if text not in _said and len(_said) < 100:
        _said.add(text)
        _log.warning("%s", text)
