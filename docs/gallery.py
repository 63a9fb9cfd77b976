"""Take the pictures of the gallery: `make gallery` (or `docs/gallery.py NAME…` for some packs).

For each pack, its scenario is drawn into a local backend, its alerts are evaluated over it, and its dashboard is
photographed in Debian's Chromium at a moment of the scenario at which most of its alerts are open: always the same
moment of the same made-up day. The page around the pictures, `docs/gallery.md`, is written by `docs/generate.py`.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pictures import smaller
from screenshots import DRAWN, chromium, wait

from obskit.catalog import Kind, Metric, Route
from obskit.engine.series import Distribution
from obskit.local.clock import Clock
from obskit.local.evaluate import Evaluator
from obskit.local.ingest.entries import write_entries
from obskit.local.notify import Notifier
from obskit.local.serve import LocalBackend
from obskit.local.store import Descriptor, SeriesKey, Store
from obskit.packs import Pack, Scenario, Signal, packs
from obskit.packs.scenarios import Sample, drawn
from obskit.queries.context import RenderContext
from obskit.queries.promql import role_of

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "images" / "packs"
PROJECT = "gallery"
BEGIN_MS = round(datetime(2026, 11, 3, 9, 0, tzinfo=UTC).timestamp() * 1000)
WIDTH = 1240
_RESOURCE = {"service": "job", "instance": "task_id", "location": "location", "namespace": "namespace"}
_REFERENCE = "obskit:uptimeCheckConfigs/"  # what stands in a policy for the id of a check that does not exist yet
_AUDIT_LOG = "type.googleapis.com/google.cloud.audit.AuditLog"
_STILL = "return document.querySelectorAll('.tile .loading').length === 0"


def key_of(signal: Signal) -> SeriesKey:
    """Return the series that a signal is in the store."""
    metric, labels = signal.metric, signal.labels
    if not isinstance(metric, Metric):
        own = {name: value for name, value in labels.items() if name in metric.labels}
        resource = {name: value for name, value in labels.items() if name not in metric.labels}
        kind = signal.resource_type or next(iter(metric.resources), "global")
        return SeriesKey(metric.type, _pairs(own), kind, _pairs(resource))
    own = {metric.label_key(name, Route.GCP): value for name, value in labels.items() if name not in _RESOURCE}
    place = {"instance": "0", "location": "europe-west1", "namespace": "", "service": "app"}
    resource = {_RESOURCE[name]: labels.get(name, value) for name, value in place.items()}
    return SeriesKey(metric.metric_type(Route.GCP), _pairs(own), metric.resource_type(Route.GCP), _pairs(resource))


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def descriptor_of(signal: Signal) -> Descriptor:
    """Return the descriptor of a signal's metric."""
    metric = signal.metric
    metric_type = metric.metric_type(Route.GCP)
    if isinstance(metric, Metric):
        kind = "GAUGE" if metric.kind is Kind.GAUGE else "CUMULATIVE"
        value = "DISTRIBUTION" if metric.kind is Kind.HISTOGRAM else "DOUBLE"
    else:
        kind, value = metric.kind.upper(), metric.value.upper()
    return Descriptor(type=metric_type, kind=kind, value_type=value, unit=metric.unit)


def fill(store: Store, scenario: Scenario) -> int:
    """Draw a scenario into a store and return when it ends."""
    end_ms = BEGIN_MS + round(scenario.hours * 3_600_000)
    for signal in scenario.signals:
        is_distribution = role_of(signal.metric) is Kind.HISTOGRAM

        def value(sample: Sample, *, signal: Signal = signal, counts: bool = is_distribution) -> float | Distribution:
            if not counts:
                return sample.value
            return Distribution(sum(sample.counts), sample.value, signal.bounds, sample.counts)

        points = drawn(signal, start_ms=BEGIN_MS, end_ms=end_ms)
        store.metrics.put(
            key_of(signal), descriptor_of(signal), ((each.start_ms, each.end_ms, value(each)) for each in points)
        )
    return end_ms


def entries(scenario: Scenario, until_ms: int) -> Iterator[dict[str, Any]]:
    """Yield the scenario's log entries up to a moment, oldest first."""
    length_ms = scenario.hours * 3_600_000
    times = sorted((BEGIN_MS + at * length_ms, place) for place, line in enumerate(scenario.logs) for at in line.at)
    for at_ms, place in times:
        if at_ms <= until_ms:
            entry = _local(scenario.logs[place].entry)
            payload = entry.get("jsonPayload") or {}
            # The line of text that the console's log explorer puts together for an entry without a message.
            texts = _texts({key: value for key, value in payload.items() if key != "@type"})
            yield {
                "logName": f"projects/{PROJECT}/logs/app",
                **entry,
                **({"jsonPayload": {"message": " ".join(texts), **payload}} if payload else {}),
                **({"protoPayload": {"@type": _AUDIT_LOG, **proto}} if (proto := entry.get("protoPayload")) else {}),
                "timestamp": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z"),
            }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def _local(document: Any) -> Any:
    """Return JSON as the local backend takes it, which does not know ids of checks."""
    return json.loads(json.dumps(document).replace(_REFERENCE, ""))


def rendered(pack: Pack[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a pack's policies and its dashboard, under names of the project."""
    context = RenderContext(project=PROJECT)
    objects = pack.example_objects()
    policies = [{**_local(each.to_dict(context)), "name": context.policy_name(each.id)} for each in objects.alerts]
    dashboard = objects.dashboards[0]
    return policies, {**_local(dashboard.to_dict(context)), "name": f"projects/{PROJECT}/dashboards/{dashboard.id}"}


def incidents(policies: Sequence[Mapping[str, Any]], scenario: Scenario) -> tuple[list[dict[str, Any]], int]:
    """Return the incidents of a scenario, and a moment at which most of them are open."""
    store = Store(Clock(), None, PROJECT)
    end_ms = fill(store, scenario)
    notifier = Notifier(
        project=PROJECT,
        find_channel=store.objects.get,
        record=store.notifications.put,
        now_ms=lambda: end_ms,
        incident_url=str,
    )
    write_entries(store, list(entries(scenario, end_ms)))
    evaluator = Evaluator(store=store, clock=Clock(), notifier=notifier)
    for policy in policies:
        store.objects.put(policy)
    evaluator.run_until(BEGIN_MS)
    evaluator.run_until(end_ms)
    found = list(store.incidents.list())
    notifier.close(1.0)
    store.close()
    spans = [(each["started_at_ms"], each["ended_at_ms"] or end_ms) for each in found]
    # A little after an incident began, so that its charts show it; the latest of the best moments.
    moments = [min(start + 900_000, (start + end) // 2) for start, end in spans]
    best = max(moments, key=lambda at: (sum(start <= at < end for start, end in spans), at), default=end_ms)
    return found, best


def open_at(found: Sequence[Mapping[str, Any]], moment_ms: int) -> Iterator[dict[str, Any]]:
    """Yield the incidents that are open at a moment, as they were then."""
    for each in found:
        if each["started_at_ms"] <= moment_ms < (each["ended_at_ms"] or moment_ms + 1):
            yield {**each, "state": "open", "ended_at_ms": None}


def photograph(driver: Any, pack: Pack[Any]) -> bytes:
    """Return the picture of a pack's dashboard."""
    policies, dashboard = rendered(pack)
    found, moment = incidents(policies, pack.scenario)
    clock = Clock(read_ms=lambda: moment)
    with LocalBackend(project=PROJECT, http_port=0, grpc_port=0, clock=clock) as backend:
        fill(backend.store, pack.scenario)
        backend.write_entries(list(entries(pack.scenario, moment)))
        for each in open_at(found, moment):
            backend.store.incidents.put(each)
        backend.store.objects.put(dashboard)
        identity = dashboard["name"].rpartition("/")[2]
        return _picture(driver, f"{backend.http_url}/dashboards/{identity}?from={BEGIN_MS}&to={moment}")


def _picture(driver: Any, url: str) -> bytes:
    size = {"width": WIDTH, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(url)
    wait(lambda: driver.execute_script("return document.querySelector('.widget, .tile') !== null"), f"widgets of {url}")
    height = driver.execute_script(
        "return Math.ceil(Math.max(...[document.documentElement, document.querySelector('main')].filter(Boolean)"
        ".map((each) => each.scrollHeight)))"
    )
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": height + 20})
    drawn_before, still = -1, 0
    while still < 3:
        wait(lambda: driver.execute_script(_STILL), f"charts of {url}")
        now = driver.execute_script(DRAWN)
        still, drawn_before = (still + 1 if now == drawn_before else 0), now
        time.sleep(0.4)
    clip = driver.execute_script(
        "const box = (document.querySelector('main') ?? document.body).getBoundingClientRect();"
        "return {x: box.x, y: box.y, width: box.width, height: box.height, scale: 1}"
    )
    how = {"format": "png", "clip": clip, "captureBeyondViewport": True}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", how)
    return base64.b64decode(shot["data"])


def main() -> None:
    """Photograph the packs of the names given, or all of them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    wanted = [pack for pack in packs() if not sys.argv[1:] or pack.name in sys.argv[1:]]
    with chromium() as driver:
        for pack in wanted:
            file = PICTURES / f"{pack.name}.png"
            file.write_bytes(smaller(photograph(driver, pack)))
            print(file, f"{file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
