"""Uptime checks on schedule: made from this machine, written as the series that Cloud Monitoring writes."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from obskit.local.clock import Clock
from obskit.local.store import Descriptor, SeriesKey, Store
from obskit.local.uptime.probe import Outcome, not_checked, probe

__all__ = ["UptimeChecker"]

_logger = logging.getLogger(__name__)

_PREFIX: Final = "monitoring.googleapis.com/uptime_check/"
_AT_ONCE: Final = 4
_SHORTEST_S: Final = 1.0  # real seconds between two checks, however fast the backend's time runs
# Source: UptimeCheckRegion, and the values of checker_location that these regions write.
_LOCATIONS: Final[Mapping[str, Sequence[str]]] = {
    "USA": ("usa-iowa", "usa-oregon", "usa-virginia"),
    "USA_IOWA": ("usa-iowa",),
    "USA_OREGON": ("usa-oregon",),
    "USA_VIRGINIA": ("usa-virginia",),
    "EUROPE": ("eur-belgium",),
    "SOUTH_AMERICA": ("sa-brazil-sao_paulo",),
    "ASIA_PACIFIC": ("apac-singapore",),
}
_EVERYWHERE: Final = ("USA", "EUROPE", "SOUTH_AMERICA", "ASIA_PACIFIC")


@dataclass(slots=True)
class _Known:
    """A check, when it is due, and what became of it last."""

    check: Mapping[str, Any]
    wording: str
    reason: str
    due_ms: int = 0
    due_real_s: float = 0.0
    is_running: bool = False
    last_ms: int | None = None
    last: Outcome | None = None


class UptimeChecker:
    """Makes the uptime checks that the store holds.

    Args:
        store: has the checks, and takes their series.
        clock: the backend's clock.
        is_outside_allowed: whether hosts that are not this machine are checked.
        poll_s: real seconds between two looks at the clock.
    """

    def __init__(self, *, store: Store, clock: Clock, is_outside_allowed: bool = False, poll_s: float = 0.2) -> None:
        self._store = store
        self._clock = clock
        self._is_outside_allowed = is_outside_allowed
        self._poll_s = poll_s
        self._lock = threading.RLock()
        self._known: dict[str, _Known] = {}
        self._is_stale = threading.Event()
        self._is_stale.set()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        store.subscribe(self._note_change)

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="obskit-uptime", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop, and return whether the thread ended in time; a check under way ends by its own timeout, unheard."""
        self._is_stopping.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def check_now(self, name: str) -> Outcome | None:
        """Make a check at once and write its series; None for one that is not there or not made here."""
        with self._lock:
            self._refresh()
            known = self._known.get(name)
        if known is None or known.reason:
            return None
        self._make(known)
        return known.last

    def states(self) -> list[dict[str, Any]]:
        """Return each check with its state: passed, failed, waiting or not_checked, with the reason."""
        with self._lock:
            self._refresh()
            return [_state(known) for known in self._known.values()]

    # ------------------------------------------------------------------ schedule

    def _run(self) -> None:
        while not self._is_stopping.wait(self._poll_s):
            try:
                for known in self._due():
                    threading.Thread(target=self._make, args=(known,), name="obskit-uptime-check", daemon=True).start()
            except Exception:  # the next round must still take place
                _logger.exception("a round of uptime checks failed")

    def _due(self) -> list[_Known]:
        now_ms, now_s = self._clock.now_ms(), time.monotonic()
        with self._lock:
            self._refresh()
            found = [
                known
                for known in self._known.values()
                if not known.reason and not known.is_running and now_ms >= known.due_ms and now_s >= known.due_real_s
            ]
            del found[max(0, _AT_ONCE - sum(known.is_running for known in self._known.values())) :]
            for known in found:
                known.is_running = True
                known.due_ms = now_ms + _period_ms(known.check)
                known.due_real_s = now_s + _SHORTEST_S
            return found

    def _note_change(self, kinds: AbstractSet[str]) -> None:
        if "objects" in kinds:
            self._is_stale.set()

    def _refresh(self) -> None:
        if not self._is_stale.is_set():
            return
        self._is_stale.clear()
        checks = {str(each["name"]): each for each in self._store.objects.list("uptimeCheckConfigs")}
        for name in [name for name in self._known if name not in checks]:
            del self._known[name]
        for name, check in checks.items():
            wording = json.dumps(check, sort_keys=True)
            if name not in self._known or self._known[name].wording != wording:
                reason = not_checked(check, is_outside_allowed=self._is_outside_allowed)
                self._known[name] = _Known(check, wording, reason)

    # ------------------------------------------------------------------ one check

    def _make(self, known: _Known) -> None:
        try:
            outcome = probe(known.check, is_outside_allowed=self._is_outside_allowed)
            at_ms = self._clock.now_ms()
            if self._is_stopping.is_set():
                return
            known.last, known.last_ms = outcome, at_ms
            self._write(known.check, outcome, at_ms)
        except Exception:  # in a worker nobody would hear of it
            _logger.exception("the uptime check %s could not be made", known.check.get("name"))
        finally:
            known.is_running = False

    def _write(self, check: Mapping[str, Any], outcome: Outcome, at_ms: int) -> None:
        resource = check["monitoredResource"]
        labels = tuple(sorted((str(name), str(value)) for name, value in resource["labels"].items()))
        identity = str(check["name"]).rpartition("/")[2]
        for location in _locations(check):
            metric_labels = (
                ("check_id", identity),
                ("checked_resource_id", str(resource["labels"].get("host", ""))),
                ("checker_location", location),
            )
            for described, value in _values(outcome):
                key = SeriesKey(described.type, metric_labels, str(resource["type"]), labels)
                self._store.metrics.put(key, described, [(at_ms, at_ms, value)])
        self._store.changed("metrics")


def _values(outcome: Outcome) -> Iterator[tuple[Descriptor, float]]:
    """What a check writes. Source: the list of Cloud Monitoring's own metrics."""
    yield _descriptor("check_passed", "BOOL"), float(outcome.is_passed)
    if outcome.latency_ms is not None:
        yield _descriptor("content_mismatch", "BOOL"), float(outcome.is_mismatch)
        yield _descriptor("request_latency", "DOUBLE", "ms"), outcome.latency_ms
    if outcome.status is not None:
        yield _descriptor("http_status", "STRING"), float(outcome.status)
    if outcome.days is not None:
        yield _descriptor("time_until_ssl_cert_expires", "DOUBLE", "d"), outcome.days


def _descriptor(name: str, value_type: str, unit: str = "") -> Descriptor:
    labels = ("check_id", "checked_resource_id", "checker_location")
    return Descriptor(type=_PREFIX + name, kind="GAUGE", value_type=value_type, unit=unit, labels=labels)


def _locations(check: Mapping[str, Any]) -> Iterable[str]:
    regions = check.get("selectedRegions") or _EVERYWHERE
    return dict.fromkeys(place for region in regions for place in _LOCATIONS.get(str(region), ()))


def _period_ms(check: Mapping[str, Any]) -> int:
    return round(float(str(check.get("period") or "60s").removesuffix("s")) * 1000)


def _state(known: _Known) -> dict[str, Any]:
    last = known.last
    if known.reason:
        state = "not_checked"
    elif last is None:
        state = "waiting"
    else:
        state = "passed" if last.is_passed else "failed"
    return {
        "name": known.check["name"],
        "display_name": known.check.get("displayName", ""),
        "state": state,
        "reason": known.reason or (last.reason if last is not None else ""),
        "last_ms": known.last_ms,
        "latency_ms": last.latency_ms if last is not None else None,
        "status": last.status if last is not None else None,
        "certificate_days": last.days if last is not None else None,
    }
