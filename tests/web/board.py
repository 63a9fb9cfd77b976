"""One dashboard with a widget of every kind, and a real backend with telemetry for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from twin_values import HOSTILE

from obskit.dashboards import kinds
from obskit.engine.series import Distribution
from obskit.local.clock import Clock
from obskit.local.serve import LocalBackend
from obskit.local.store import Descriptor, SeriesKey
from obskit.local.store.errors import ErrorEvent

NOW_MS = 1_790_000_000_000 // 60_000 * 60_000
HOUR_MS = 3_600_000
ZONES = ("europe-west1-b", "europe-west1-c", "us-central1-a")
REGIONS = {zone: zone.rsplit("-", 1)[0] for zone in ZONES}
GAUGE = "custom.googleapis.com/queue/depth"
BYTES = "custom.googleapis.com/store/bytes"
TIMES = "custom.googleapis.com/request/latency"
DEPTH = "custom_googleapis_com:queue_depth"
POLICY = "projects/board/alertPolicies/depth"
BY_TYPE = f'metric.type = "{GAUGE}" AND resource.type = "generic_node"'
MEAN = {"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_MEAN"}


def depth(zone: str, at_ms: int) -> float:
    """A smooth value that depends on the place and the time alone, highest in the last zone."""
    return round(20 + 12 * ZONES.index(zone) + 6 * math.sin(at_ms / 900_000 + ZONES.index(zone)), 2)


def fill(backend: LocalBackend) -> None:
    """Write an hour and a day before of metrics, some log entries, errors, a policy and its incident."""
    store = backend.store
    for place, zone in enumerate(ZONES):
        resource = (("location", REGIONS[zone]), ("namespace", "shop"), ("node_id", zone))
        for metric, unit, factor in ((GAUGE, "{task}", 1.0), (BYTES, "By", 3e8)):
            for color in ("red", "blue"):
                key = SeriesKey(metric, (("color", color),), "generic_node", resource)
                described = Descriptor(type=metric, kind="GAUGE", value_type="DOUBLE", unit=unit)
                times = (
                    *range(NOW_MS - 26 * HOUR_MS, NOW_MS - 22 * HOUR_MS, 60_000),
                    *range(NOW_MS - 2 * HOUR_MS, NOW_MS + 1, 60_000),
                )
                share = 0.7 if color == "red" else 0.3
                store.metrics.put(
                    key,
                    described,
                    ((at, at, factor * share * depth(zone, at + (unit == "By") * 2 * HOUR_MS)) for at in times),
                )
        key = SeriesKey(TIMES, (), "generic_node", resource)
        described = Descriptor(type=TIMES, kind="DELTA", value_type="DISTRIBUTION", unit="s")
        counts = (10 + place, 4, 1, 0)
        store.metrics.put(
            key,
            described,
            (
                (at - 60_000, at, Distribution(sum(counts), 0.2, (0.1, 0.5, 2.0), counts))
                for at in range(NOW_MS - HOUR_MS, NOW_MS + 1, 60_000)
            ),
        )
    backend.write_entries(
        [
            {
                "logName": "projects/board/logs/app",
                "severity": "ERROR" if at % 3 == 0 else "INFO",
                "resource": {"type": "generic_node", "labels": {"node_id": ZONES[at % 3], "location": REGIONS[ZONES[at % 3]]}},
                "jsonPayload": {"message": HOSTILE if at == 4 else f"message {at}"},
                "timestamp": datetime.fromtimestamp(NOW_MS / 1000 - at * 60, UTC).isoformat(),
            }
            for at in range(12)
        ]
    )  # fmt: skip
    for at in range(14):
        kind = ("OutOfStock", "KeyError")[at % 7 == 0]
        store.errors.put(
            ErrorEvent(
                time_ms=NOW_MS - at * 200_000,
                stack=f'Traceback (most recent call last):\n  File "/srv/{kind}.py", line 4, in order\n{kind}: {HOSTILE}',
                service=("shop", "chatbot")[at % 7 == 0],
                version=("1.0", "2.0")[at % 2],
                user=f"user-{at % 4}",
                http={},
                trace_id="",
                location={},
            )
        )
    store.objects.put(policy())
    store.incidents.put(incident())


def policy() -> dict[str, Any]:
    """The policy of the alert chart, with a condition on metrics and one on log entries."""
    threshold = {
        "filter": BY_TYPE,
        "aggregations": [{**MEAN, "crossSeriesReducer": "REDUCE_SUM", "groupByFields": ["resource.labels.node_id"]}],
        "comparison": "COMPARISON_GT",
        "thresholdValue": 45,
        "duration": "0s",
    }
    return {
        "name": POLICY,
        "displayName": f"Deep queue {HOSTILE}",
        "combiner": "OR",
        "conditions": [
            {"name": f"{POLICY}/conditions/1", "displayName": "depth above 45", "conditionThreshold": threshold},
            {"name": f"{POLICY}/conditions/2", "displayName": "errors in the log", "conditionMatchedLog": {"filter": "severity>=ERROR"}},
        ],
    }  # fmt: skip


def incident() -> dict[str, Any]:
    """An open incident of the policy."""
    return {
        "id": "0.board",
        "policy_name": POLICY,
        "policy_display_name": "Deep queue",
        "condition_name": "depth above 45",
        "severity": "CRITICAL",
        "state": "open",
        "started_at_ms": NOW_MS - 1_200_000,
        "ended_at_ms": None,
        "observed_value": 50.0,
        "threshold_value": 45.0,
        "summary": f"the queue is deep {HOSTILE}",
        "labels": {"location": "us-central1"},
        "documentation": {},
    }


def promql(text: str, unit: str = "{task}") -> dict[str, Any]:
    """A query."""
    return {"prometheusQuery": text, "unitOverride": unit}


def line(query: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A data set of a chart."""
    return {"timeSeriesQuery": query, "plotType": "LINE", **more}


def widgets() -> list[tuple[int, int, dict[str, Any]]]:
    """Width, height and widget of each tile, in rows; those that no text says are told by their titles."""
    by_zone = f"sum by (node_id) ({DEPTH}{{${{color}}}})"
    rate = {"timeSeriesFilter": {"filter": f"{BY_TYPE} AND ${{color}}", "aggregation": MEAN}}
    heat = {
        "timeSeriesFilter": {
            "filter": f'metric.type = "{TIMES}"',
            "aggregation": {
                "alignmentPeriod": "60s",
                "perSeriesAligner": "ALIGN_DELTA",
                "crossSeriesReducer": "REDUCE_SUM",
            },
        }
    }
    bytes_of = promql("sum by (location, node_id, color) (custom_googleapis_com:store_bytes)", "By")
    limits = [
        {"value": 60, "color": "YELLOW", "direction": "ABOVE"},
        {"value": 90, "color": "RED", "direction": "ABOVE"},
    ]
    return [
        (48, 3, {"title": "Every kind", "sectionHeader": {"subtitle": "of the dashboards' API", "dividerBelow": True}}),
        (12, 8, {"title": "Depth", "scorecard": {"timeSeriesQuery": promql(f"sum({DEPTH})"), "thresholds": limits, "sparkChartView": {"sparkChartType": "SPARK_LINE"}}}),
        (12, 8, {"title": "Depth as a gauge", "scorecard": {"timeSeriesQuery": promql(f"sum({DEPTH})"), "thresholds": limits, "gaugeView": {"lowerBound": 0, "upperBound": 150}}}),
        (12, 8, {"title": "Color of the queue", "filterControl": {"templateVariable": "color"}}),
        (12, 8, {"title": "Open incidents", "incidentList": {"policyNames": [POLICY]}}),
        (24, 16, {"title": "Depth by zone", "xyChart": {"dataSets": [line(promql(by_zone), legendTemplate="${labels.node_id}")], "thresholds": [{"value": 45, "label": "limit"}], "yAxis": {"label": "tasks"}}}),
        (24, 16, {"title": "Two axes", "xyChart": {"dataSets": [line(promql(f"sum({DEPTH})"), legendTemplate="depth"), line(promql("sum(custom_googleapis_com:store_bytes)", "By"), legendTemplate="stored", targetAxis="Y2")], "thresholds": [{"value": 2.5e10, "label": "disk", "targetAxis": "Y2"}], "yAxis": {"label": "tasks"}, "y2Axis": {"label": "stored", "scale": "LINEAR"}}}),
        (16, 14, {"title": "Stacked", "xyChart": {"dataSets": [line(promql(f"sum by (color) ({DEPTH})"), plotType="STACKED_AREA")]}}),
        (16, 14, {"title": "Day over day", "xyChart": {"dataSets": [line(promql(f"sum({DEPTH})"), legendTemplate="depth")], "timeshiftDuration": "86400s", "chartOptions": {"mode": "STATS"}}}),
        (16, 14, {"title": "Latency", "xyChart": {"dataSets": [line(heat, plotType="HEATMAP")]}}),
        (24, 18, {"title": "Stored", "treemap": {"dataSets": [{"timeSeriesQuery": bytes_of}], "treemapHierarchy": ["resource.location", "node_id", "metric.color"]}}),
        (24, 18, {"title": "", "alertChart": {"name": POLICY}}),
        (16, 14, {"title": "Errors", "errorReportingPanel": {"projectNames": ["projects/board"], "services": [], "versions": []}}),
        (16, 14, {"title": "Shares", "pieChart": {"chartType": "DONUT", "dataSets": [{"timeSeriesQuery": promql(f"sum by (node_id) ({DEPTH})"), "sliceNameTemplate": "${node_id}"}]}}),
        (16, 14, {"title": "Zones", "timeSeriesTable": {"dataSets": [{"timeSeriesQuery": rate}], "metricVisualization": "BAR"}}),
        (24, 12, {"title": "Log", "logsPanel": {"filter": "severity>=INFO", "resourceNames": ["projects/board"]}}),
        (12, 12, {"title": "Note", "text": {"content": f"**Look** at {HOSTILE}\n\n- [runbook](https://example.com)", "format": "MARKDOWN", "style": {"backgroundColor": "#0b5c99", "horizontalAlignment": "H_CENTER", "verticalAlignment": "V_CENTER", "fontSize": "FS_LARGE", "padding": "P_SMALL"}}}),
        (12, 12, {"title": "Of a week", "timeRange": {"relativeDuration": "604800s"}, "xyChart": {"dataSets": [line(promql(f"sum({DEPTH})"))]}}),
        (12, 4, {"blank": {}}),
        (12, 4, {"title": "Only in detail", "text": {"content": "all of it"}, "visibilityCondition": {"templateVariableCondition": {"templateVariable": "detail", "templateVariableValue": "ful.*", "comparator": "REGEX_FULL_MATCH"}}}),
    ]  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard: its widgets in rows, then a group with a place of two views."""
    tiles, x, y, tall = [], 0, 0, 0
    for width, height, widget in widgets():
        if x + width > 48:
            x, y, tall = 0, y + tall, 0
        tiles.append({"xPos": x, "yPos": y, "width": width, "height": height, "widget": widget})
        x, tall = x + width, max(tall, height)
    y += tall
    view = {"xPos": 0, "yPos": y, "width": 24, "height": 12}
    chart = {"dataSets": [line(promql(f"max({DEPTH})"))]}
    tiles += [
        {"xPos": 0, "yPos": y, "width": 48, "height": 12, "widget": {"title": "More", "collapsibleGroup": {"collapsed": True}}},
        {**view, "widget": {"title": "One of two", "singleViewGroup": {"displayType": "TAB"}}},
        {**view, "widget": {"title": "First", "xyChart": chart}},
        {**view, "widget": {"title": "Second", "text": {"content": "the second view"}}},
    ]  # fmt: skip
    filters = [
        {"templateVariable": "color", "labelKey": "color", "filterType": "METRIC_LABEL", "valueType": "STRING"},
        {"templateVariable": "detail", "filterType": "VALUE_ONLY", "stringArray": {"values": ["full", "short"]}, "stringValue": "short"},
        {"labelKey": "node_id", "filterType": "RESOURCE_LABEL", "valueType": "STRING_ARRAY"},
    ]  # fmt: skip
    layout = {"columns": 48, "tiles": tiles}
    return {"name": "projects/board/dashboards/all", "displayName": "Board", "dashboardFilters": filters, "annotations": {"eventAnnotations": [{"eventType": "CLOUD_ALERTING_ALERT", "enabled": False}]}, "mosaicLayout": layout}  # fmt: skip


def kinds_on(board: dict[str, Any]) -> set[str]:
    """Return the kinds of widgets on a dashboard."""
    return {key for tile in board["mosaicLayout"]["tiles"] for key in tile["widget"] if key in kinds.KINDS}


@contextmanager
def serving_board() -> Iterator[LocalBackend]:
    """Serve the board until the block ends, always at the same moment."""
    with LocalBackend(project="board", http_port=0, grpc_port=0, clock=Clock(read_ms=lambda: NOW_MS)) as backend:
        fill(backend)
        backend.store.objects.put(dashboard())
        yield backend


if __name__ == "__main__":
    import sys
    import threading

    with serving_board() as served:
        print(f"{served.http_url}/dashboards/all", flush=True)
        threading.Event().wait(float(sys.argv[1]) if len(sys.argv) > 1 else 3600)
