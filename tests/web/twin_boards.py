"""Made-up dashboards and metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twin_values import GOLDEN, HOSTILE, POLICY, SERVICES, wave


def many_charts(count: int) -> dict[str, Any]:
    chart = {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": "load_q", "unitOverride": "s"}, "plotType": "LINE"}]}
    tiles = [
        {
            "xPos": 12 * (at % 4),
            "yPos": 12 * (at // 4),
            "width": 12,
            "height": 12,
            "widget": {"title": f"Chart {at}", "xyChart": chart},
        }
        for at in range(count)
    ]
    return {"displayName": "Twenty charts", "mosaicLayout": {"columns": 48, "tiles": tiles}}


def every_kind() -> dict[str, Any]:
    query = {"timeSeriesQuery": {"prometheusQuery": "q_unit", "unitOverride": "1"}}
    widgets = [
        {"title": "Section", "sectionHeader": {"subtitle": "of the twin", "dividerBelow": True}},
        {
            "title": HOSTILE,
            "text": {
                "format": "MARKDOWN",
                "content": f"# Title\n\n{POLICY}\n\n- one\n- two\n\n```\ncode {HOSTILE}\n```",
            },
        },
        {"title": "Raw", "text": {"format": "RAW", "content": HOSTILE}},
        {
            "title": "Filter chart",
            "xyChart": {
                "dataSets": [
                    {"timeSeriesQuery": {"timeSeriesFilter": {"filter": 'metric.type="x"'}}, "plotType": "STACKED_BAR"}
                ],
                "yAxis": {"label": "y"},
            },
        },
        {
            "title": "Number",
            "scorecard": {
                **query,
                "thresholds": [{"value": 0.1, "color": "RED", "direction": "ABOVE", "label": HOSTILE}],
                "sparkChartView": {"sparkChartType": "SPARK_BAR"},
            },
        },
        {"title": "Gauge", "scorecard": {**query, "gaugeView": {"upperBound": 1}}},
        {"title": "Map", "treemap": {"dataSets": []}},
        {
            "title": "Shares",
            "pieChart": {
                "chartType": "DONUT",
                "dataSets": [
                    {
                        "timeSeriesQuery": {"prometheusQuery": "zones", "unitOverride": "By"},
                        "sliceNameTemplate": "zone ${zone}",
                    }
                ],
                "showLabels": True,
            },
        },
        {
            "title": "Pie of SQL",
            "pieChart": {"dataSets": [{"timeSeriesQuery": {"opsAnalyticsQuery": {"sql": "SELECT 1"}}}]},
        },
        {
            "title": "Zones",
            "timeSeriesTable": {
                "dataSets": [{"timeSeriesQuery": {"prometheusQuery": "zones", "unitOverride": "s"}}],
                "metricVisualization": "BAR",
                "columnSettings": [
                    {"column": "zone", "displayName": "Zone", "visible": True},
                    {"column": "server", "visible": False},
                    {
                        "column": "value",
                        "visible": True,
                        "thresholds": [{"value": 1e9, "color": "RED"}, {"value": -1, "color": "YELLOW"}],
                    },
                ],
            },
        },
        {
            "title": "Buckets",
            "xyChart": {
                "dataSets": [
                    {"timeSeriesQuery": {"prometheusQuery": "buckets", "unitOverride": "s"}, "plotType": "HEATMAP"}
                ]
            },
        },
        {
            "title": "No buckets",
            "xyChart": {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": "zones"}, "plotType": "HEATMAP"}]},
        },
        {
            "title": "MQL",
            "xyChart": {"dataSets": [{"timeSeriesQuery": {"timeSeriesQueryLanguage": "fetch x"}, "plotType": "LINE"}]},
        },
        {
            "title": "Bad query",
            "xyChart": {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": "fail("}, "plotType": "LINE"}]},
        },
    ]
    return {"displayName": f"Every kind {HOSTILE}", "gridLayout": {"columns": "3", "widgets": widgets}}


def dashboards(extra: list[Path]) -> dict[str, dict[str, Any]]:
    found = {
        "service": json.loads((GOLDEN / "service.gcp.json").read_text()),
        "llm": json.loads((GOLDEN / "llm.gcp.json").read_text()),
    }
    found |= {"twenty": many_charts(20), "kinds": every_kind()}
    for path in extra:
        found[f"{path.parent.name}-{path.stem}"] = json.loads(path.read_text())
    return {
        key: {"name": f"projects/1/dashboards/{key}", "labels": {"managed-by": "obskit"}, **board}
        for key, board in found.items()
    }


# --------------------------------------------------------------------------- metrics


def points(query: str, seed: int, start_ms: int, end_ms: int, step_ms: int) -> list[tuple[int, float]]:
    scale = {"duration_bucket": 1.6, "cost": 4.0, "tokens": 40_000, "10^2": 0.02, "unless": 0.04}
    if query == "buckets":  # cumulative: ten values up to 0.1 s, none to 0.5 s, the wave's to 1 s, two above
        counts = (10.0, 10 + 20 * wave(start_ms, 1), 12 + 20 * wave(start_ms, 1), 10.0)
        return [(at, counts[seed]) for at in range(start_ms, end_ms + 1, step_ms)]
    factor = next((value for key, value in scale.items() if key in query), 1.0)
    return [(at, factor * wave(at, seed)) for at in range(start_ms, end_ms + 1, step_ms)]


def labels_of(query: str) -> list[dict[str, str]]:
    if query == "zones":
        return [{"zone": f"zone-{at}", "server": HOSTILE} for at in range(4)]
    if query == "buckets":
        return [{"le": bound} for bound in ("0.1", "1", "+Inf", "0.5")]
    if "job" in query:
        return [{"job": name, "http_route": f"/{name}/{{id}}"} for name in SERVICES]
    if "gen_ai_request_model" in query:
        return [{"gen_ai_request_model": name} for name in ("gemini-2.5-pro", "gemini-2.5-flash")]
    if "token_kind" in query and "by (" in query:
        return [{"obskit_token_kind": name} for name in ("input", "cached", "output", "thinking", "tool_use")]
    if "status_code)" in query:
        return [{"http_response_status_code": code} for code in ("200", "404", "500")]
    return [{"error_type": "429", "server_address": "shop", "server": HOSTILE}]
