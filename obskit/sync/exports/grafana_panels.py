"""Widgets of dashboards as Grafana's panels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Final

from obskit.sync.exports.grafana_queries import CLOUD_LOGGING, CLOUD_MONITORING, Untranslatable, targets

__all__ = ["KIND_FIELDS", "Panels"]

KIND_FIELDS: Final = frozenset({"title", "id", "visibilityCondition"})
_UNITS: Final = {
    "s": "s",
    "ms": "ms",
    "us": "µs",
    "ns": "ns",
    "min": "m",
    "h": "h",
    "d": "d",
    "By": "bytes",
    "By/s": "Bps",
    "KiBy": "kbytes",
    "MiBy": "mbytes",
    "GiBy": "gbytes",
    "bit": "bits",
    "%": "percent",
    "10^2.%": "percentunit",
    "1": "none",
    "1/s": "ops",
    "USD": "currencyUSD",
    "EUR": "currencyEUR",
}
_DRAWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "LINE": {},
    "STACKED_AREA": {"fillOpacity": 40},
    "STACKED_BAR": {"drawStyle": "bars", "fillOpacity": 70},
}
_COLORS: Final = {"RED": "red", "YELLOW": "yellow", "GREEN": "green", "BLUE": "blue"}
_MODES: Final = {"": "none", "LINE": "none", "STACKED_AREA": "normal", "STACKED_BAR": "normal", "HEATMAP": "none"}
# What these fields say has another place in a panel, or says nothing there.
_TOLD: Final = frozenset(
    {
        *("dataSets", "yAxis", "thresholds", "timeSeriesQuery", "sparkChartView", "gaugeView", "blankView", "plotType"),
        *(
            "legendTemplate",
            "minAlignmentPeriod",
            "targetAxis",
            "content",
            "format",
            "subtitle",
            "dividerBelow",
            "filter",
        ),
        *("tableTemplate", "sliceNameTemplate", "displayColumnType"),
    }
)
_NOTHING: Final[tuple[Any, ...]] = (None, "", {}, [], "0s", False, {"mode": "COLOR"}, "NUMBER", "PIE", "DONUT")


@dataclass(frozen=True, slots=True)
class Panels:
    """Makes the panels of one dashboard.

    Attributes:
        project: the project that is asked.
        lose: is told what a panel cannot say: the widget's name and the reason.
    """

    project: str
    lose: Callable[[str, str], None]

    def panel(self, widget: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the panel of a widget, without its place; None where Grafana has nothing for it."""
        kind = next((key for key in widget if key not in KIND_FIELDS), "blank")
        name = str(widget.get("title") or kind)
        if "visibilityCondition" in widget:
            self.lose(name, "visibilityCondition is left out: panels are always shown")
        made = self._made(kind, widget.get(kind) or {}, name)
        if made is None:
            return None
        return {"title": widget.get("title", ""), **made}

    def _made(self, kind: str, body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
        match kind:
            case "xyChart":
                return self._chart(body, name)
            case "scorecard":
                return self._scorecard(body, name)
            case "timeSeriesTable" | "pieChart":
                return self._sets("table" if kind == "timeSeriesTable" else "piechart", body, name)
            case "text":
                content = {"mode": "markdown", "content": str(body.get("content", "")).replace("${", "$ {")}
                self._rest(body, name, known={"style"})
                return {"type": "text", "options": content}
            case "sectionHeader":
                self._rest(body, name)
                heading = {"mode": "markdown", "content": str(body.get("subtitle", ""))}
                return {"type": "text", "transparent": True, "options": heading}
            case "logsPanel":
                own = {f"projects/{self.project}"}
                self._rest(body, name, known={"resourceNames"} if set(body.get("resourceNames", ())) <= own else set())
                query = {"queryText": body.get("filter", ""), "projectId": self.project}
                target = {"refId": "A", "datasource": CLOUD_LOGGING, **query}
                return {"type": "logs", "datasource": CLOUD_LOGGING, "targets": [target]}
            case "blank":
                return {"type": "text", "transparent": True, "options": {"mode": "markdown", "content": ""}}
            case _:
                self.lose(name, f"left out: Grafana has no panel for {kind}")
                return None

    def _chart(self, body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
        made = self._sets("timeseries", body, name)
        if made is None:
            return None
        plots = {each.get("plotType", "LINE") for each in body.get("dataSets", ())}
        plot = next(iter(plots)) if len(plots) == 1 else "LINE"
        if len(plots) > 1:
            self.lose(name, f"drawn as lines: its queries are drawn as {', '.join(sorted(plots))}")
        if plot == "HEATMAP":
            return {**made, "type": "heatmap"}
        custom: dict[str, Any] = {**_DRAWN.get(plot, {}), "stacking": {"mode": _MODES.get(plot, "none")}}
        if (body.get("yAxis") or {}).get("scale") == "LOG10":
            custom["scaleDistribution"] = {"type": "log", "log": 10}
        if body.get("thresholds"):
            custom["thresholdsStyle"] = {"mode": "line"}
        defaults = made["fieldConfig"]["defaults"]
        defaults["custom"] = custom
        if label := (body.get("yAxis") or {}).get("label"):
            custom["axisLabel"] = label
        return made

    def _scorecard(self, body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
        made = self._sets("gauge" if "gaugeView" in body else "stat", {**body, "dataSets": [body]}, name)
        if made is None:
            return None
        gauge = body.get("gaugeView") or {}
        defaults = made["fieldConfig"]["defaults"]
        defaults |= {
            key: gauge[bound] for key, bound in (("min", "lowerBound"), ("max", "upperBound")) if bound in gauge
        }
        if "gaugeView" not in body:
            made["options"] = {"graphMode": "area" if "sparkChartView" in body else "none"}
        return made

    def _sets(self, kind: str, body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
        """Return a panel with the queries of a widget; None where none of them can be said."""
        found: list[dict[str, Any]] = []
        units = []
        sets: Sequence[Mapping[str, Any]] = body.get("dataSets") or ()
        for number, each in enumerate(sets):
            query = each.get("timeSeriesQuery") or {}
            units.append(str(query.get("unitOverride", "")))
            legend = str(each.get("legendTemplate") or each.get("tableTemplate") or each.get("sliceNameTemplate") or "")
            first = ascii_uppercase[number % 26] + ("" if number < 26 else str(number // 26))
            try:
                found += targets(
                    query,
                    first=first,
                    project=self.project,
                    legend=legend,
                    period=str(each.get("minAlignmentPeriod", "")),
                )
            except Untranslatable as reason:
                self.lose(name, f"query {number + 1} is left out: {reason}")
            if each is not body:
                self._rest(each, name)
        self._rest(body, name)
        if not found:
            self.lose(name, "left out: none of its queries can be asked")
            return None
        defaults: dict[str, Any] = {}
        if len(set(units)) == 1 and units[0]:
            defaults["unit"] = _UNITS.get(units[0], f"suffix: {units[0].strip('{}')}")
        elif len(set(units)) > 1:
            self.lose(name, f"units are left out: its queries have {', '.join(sorted(set(units) - {''}))}")
        if lines := body.get("thresholds"):
            defaults["thresholds"] = self._thresholds(lines, name)
        return {
            "type": kind,
            "datasource": CLOUD_MONITORING,
            "targets": found,
            "fieldConfig": {"defaults": defaults, "overrides": []},
        }

    def _thresholds(self, lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if any(each.get("label") for each in lines):
            self.lose(name, "the labels of its thresholds are left out: a line has none")
        for each in sorted(lines, key=lambda line: float(line.get("value", 0))):
            color = _COLORS.get(str(each.get("color", "")), "red")
            if each.get("direction") == "BELOW":
                steps[-1]["color"] = color
                steps.append({"color": "green", "value": each.get("value", 0)})
            else:
                steps.append({"color": color, "value": each.get("value", 0)})
        return {"mode": "absolute", "steps": steps}

    def _rest(self, body: Mapping[str, Any], name: str, known: set[str] | frozenset[str] = frozenset()) -> None:
        for key, value in body.items():
            if key not in _TOLD and key not in known and value not in _NOTHING:
                self.lose(name, f"{key} is left out: a panel has nothing like it")
        axes = {each.get("targetAxis") for each in body.get("dataSets", ()) if isinstance(each, Mapping)}
        if "Y2" in axes:
            self.lose(name, "the second axis is left out: all queries share the first")
