"""Alert policies on schedule: every evaluation instant of the backend's clock, in order, none skipped.

The clock may run faster than real time, so several instants can be due at once; each is evaluated as of its
own time. An instant is evaluated a little after it has passed, so that telemetry of that moment has arrived.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.engine.policy import Closed, Incident, Opened, PolicyMachine
from obskit.errors import ObskitError
from obskit.local.clock import Clock
from obskit.local.notify import Notifier
from obskit.local.snoozing import snooze_of, told_of
from obskit.local.store import Store

__all__ = ["Evaluator"]

_logger = logging.getLogger(__name__)

_CHANGED: Final = (
    "Incident cancelled because the alert policy condition was deleted or modified while incident was active."
)
_RESTARTED: Final = "Incident cancelled because the local backend was restarted."
# A policy that differs in these is another policy to the machine; its text and channels may change freely.
_BEHAVIOUR: Final = ("conditions", "combiner", "enabled", "alertStrategy")


@dataclass(slots=True)
class _Watched:
    """One policy, its machine, and when it is due next."""

    policy: Mapping[str, Any]
    machine: PolicyMachine
    behaviour: str
    next_ms: int
    problem: str = ""
    last_ms: int | None = None
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    untold: set[str] = field(default_factory=set)  # open incidents of which a snooze has kept the notification back


class Evaluator:
    """Runs the alert policies that the store holds.

    Args:
        store: policies, telemetry, and where incidents go.
        clock: the backend's clock.
        notifier: is told of every incident that opens or closes.
        settle_s: real seconds between an instant and its evaluation.
        poll_s: real seconds between two looks at the clock.
    """

    def __init__(
        self, *, store: Store, clock: Clock, notifier: Notifier, settle_s: float = 1.0, poll_s: float = 0.2
    ) -> None:
        self._store = store
        self._clock = clock
        self._notifier = notifier
        self._settle_ms = int(settle_s * 1000)
        self._poll_s = poll_s
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.RLock()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_stale = threading.Event()
        self._is_stale.set()
        store.subscribe(self._note_change)

    # ----------------------------------------------------------------- life

    def start(self) -> None:
        """Close what an earlier run left open, and begin."""
        self._close_leftovers()
        self._thread = threading.Thread(target=self._run, name="obskit-evaluate", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop, and return whether the thread ended in time."""
        self._is_stopping.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_stopping.wait(self._poll_s):
            try:
                self.run_until(self._clock.to_backend_ms(time.time_ns() // 1_000_000 - self._settle_ms))
            except Exception:  # the next round must still take place
                _logger.exception("a round of alert evaluation failed")

    # ----------------------------------------------------------------- work

    def run_until(self, until_ms: int) -> int:
        """Evaluate every instant that is due up to `until_ms`, oldest first, and return how many there were."""
        count = 0
        with self._lock:
            self._follow_policies(until_ms)
            while not self._is_stopping.is_set():
                due = min(self._watched.values(), key=lambda each: each.next_ms, default=None)
                if due is None or due.next_ms > until_ms:
                    break
                self._evaluate(due, due.next_ms)
                count += 1
        return count

    def statuses(self) -> list[dict[str, Any]]:
        """Return each policy with the state that its last evaluation found, in the UI's form."""
        with self._lock:
            return [_status(watched) for watched in self._watched.values()]

    def _note_change(self, kinds: AbstractSet[str]) -> None:
        if "objects" in kinds:
            self._is_stale.set()

    def _follow_policies(self, now_ms: int) -> None:
        if not self._is_stale.is_set():
            return
        self._is_stale.clear()
        policies = {policy["name"]: policy for policy in self._store.objects.list("alertPolicies")}
        for name in [name for name in self._watched if name not in policies]:
            self._cancel(self._watched.pop(name), now_ms, _CHANGED)
        for name, policy in policies.items():
            watched = self._watched.get(name)
            behaviour = json.dumps([policy.get(key) for key in _BEHAVIOUR], sort_keys=True)
            if watched is not None and watched.behaviour == behaviour:
                watched.policy = policy
                continue
            if watched is not None:
                self._cancel(watched, now_ms, _CHANGED)
            self._watched[name] = _watch(policy, behaviour, now_ms)

    def _evaluate(self, watched: _Watched, at_ms: int) -> None:
        watched.next_ms = at_ms + watched.machine.interval_ms
        watched.last_ms = at_ms
        try:
            events = watched.machine.evaluate(at_ms, self._store.metrics, self._store.series, self._store.logs)
        except ObskitError as error:
            if watched.problem != str(error):
                watched.problem = str(error)
                _logger.warning("alert policy %r: %s", watched.policy.get("displayName"), error)
            return
        watched.problem = ""
        for event in events:
            self._take(watched, event, at_ms)
        for identity in sorted(watched.untold):
            self._wake(watched, watched.open[identity], at_ms)

    def _take(self, watched: _Watched, event: Opened | Closed, at_ms: int) -> None:
        row = _incident_row(event.incident, watched.policy)
        if isinstance(event, Opened):
            watched.open[row["id"]] = row
            if self._announce(watched.policy, row, "open", at_ms):
                watched.untold.add(row["id"])
        else:
            self._close(watched, {**watched.open[row["id"]], **row, "state": "closed"}, at_ms)

    def _wake(self, watched: _Watched, row: dict[str, Any], at_ms: int) -> None:
        """Tell of an incident that is still open when its snooze is over."""
        if snooze_of(self._store.objects, row, at_ms) is None:
            watched.untold.discard(row["id"])
            self._announce(watched.policy, row, "open", at_ms)

    def _close(self, watched: _Watched, row: dict[str, Any], at_ms: int) -> None:
        watched.open.pop(row["id"], None)
        if row["id"] in watched.untold:  # nobody has heard of it
            watched.untold.discard(row["id"])
            self._store.incidents.put(row)
            self._notifier.notify(row, watched.policy, state="closed", withheld=told_of(row["snooze"]))
            return
        self._announce(watched.policy, row, "closed", at_ms)

    def _cancel(self, watched: _Watched, now_ms: int, reason: str) -> None:
        for row in list(watched.open.values()):
            self._close(watched, {**row, "state": "closed", "ended_at_ms": now_ms, "close_reason": reason}, now_ms)

    def _close_leftovers(self) -> None:
        policies = {policy["name"]: policy for policy in self._store.objects.list("alertPolicies")}
        for row in self._store.incidents.list(state="open"):
            policy = policies.get(row["policy_name"], {"displayName": row["policy_display_name"]})
            now_ms = self._clock.now_ms()
            closed = {**row, "state": "closed", "ended_at_ms": now_ms, "close_reason": _RESTARTED}
            self._announce(policy, closed, "closed", now_ms)

    def _announce(self, policy: Mapping[str, Any], row: dict[str, Any], state: str, at_ms: int) -> bool:
        """Store an incident and tell of it; return whether a snooze keeps the notification back."""
        snooze = snooze_of(self._store.objects, row, at_ms)
        row["snooze"] = snooze or row.get("snooze")
        self._store.incidents.put(row)
        if snooze is None:
            self._notifier.notify(row, policy, state=state)
        else:
            self._notifier.notify(row, policy, state=state, withheld=told_of(snooze))
        return snooze is not None


def _watch(policy: Mapping[str, Any], behaviour: str, now_ms: int) -> _Watched:
    machine = PolicyMachine(policy)
    # On the interval's grid, so that policies share their instants.
    next_ms = -(-now_ms // machine.interval_ms) * machine.interval_ms
    return _Watched(policy=policy, machine=machine, behaviour=behaviour, next_ms=next_ms)


def _incident_row(incident: Incident, policy: Mapping[str, Any]) -> dict[str, Any]:
    documentation = policy.get("documentation") or {}
    metric, resource = _split(incident.labels)
    return {
        "id": incident.id,
        "policy_name": policy["name"],
        "policy_display_name": policy.get("displayName", ""),
        "condition_name": incident.condition_name,
        "severity": policy.get("severity", ""),
        "state": "open" if incident.ended_at_ms is None else "closed",
        "started_at_ms": incident.started_at_ms,
        "ended_at_ms": incident.ended_at_ms,
        "observed_value": incident.value,
        "threshold_value": incident.threshold,
        "summary": incident.summary,
        "labels": {**resource, **metric},
        "metric": {"labels": metric},
        "resource": {"labels": resource},
        "documentation": {
            "content": documentation.get("content", ""),
            "subject": documentation.get("subject", ""),
        },
    }


def _split(labels: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return a series' metric labels and resource labels; PromQL's have no such difference and are metric labels."""
    metric, resource = {}, {}
    for name, value in labels.items():
        if name.startswith("resource.labels."):
            resource[name.removeprefix("resource.labels.")] = value
        elif name != "__name__":
            metric[name.removeprefix("metric.labels.")] = value
    return metric, resource


def _status(watched: _Watched) -> dict[str, Any]:
    policy, found = watched.policy, watched.machine.status()
    return {
        "name": policy["name"],
        "display_name": policy.get("displayName", ""),
        "enabled": policy.get("enabled", True) is not False,
        "severity": policy.get("severity", ""),
        "state": "error" if watched.problem else found["state"],
        "value": found["value"],
        "threshold": found["threshold"],
        "last_evaluated_ms": watched.last_ms,
        "error": watched.problem or found["error"],
        "open_incidents": len(watched.open),
        "query": _query(policy),
    }


def _query(policy: Mapping[str, Any]) -> str:
    texts = []
    for condition in policy.get("conditions") or ():
        for kind, body in condition.items():
            if kind.startswith("condition") and isinstance(body, Mapping):
                texts.append(body.get("query") or body.get("filter") or "")
    return "\n".join(text for text in texts if text)
