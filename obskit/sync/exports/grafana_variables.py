"""Variables of dashboards as Grafana's.

Google's ``${name}`` stands for a whole comparison with the filter's label, and ``${name.value}`` for the value alone;
in Grafana ``${name}`` is the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

__all__ = ["ALL", "variables", "with_variables"]

ALL: Final = ".*"
"""The value that fits everything: what a variable is compared with is a pattern."""

_OPEN: Final = re.compile(r'(?P<text>"(?:[^"\\]|\\.)*")|\$\{(?P<name>\w+)\}')
_VALUE: Final = re.compile(r"\$\{(\w+)\.value\}")
_FIELDS: Final = {
    "RESOURCE_LABEL": "resource.labels.",
    "METRIC_LABEL": "metric.labels.",
    "USER_METADATA_LABEL": "metadata.user_labels.",
    "SYSTEM_METADATA_LABEL": "metadata.system_labels.",
}


def variables(filters: Sequence[Mapping[str, Any]], lose: Any) -> Iterator[dict[str, Any]]:
    """Yield Grafana's variables for a dashboard's filters.

    Args:
        filters: ``dashboardFilters``.
        lose: is told what they cannot say.
    """
    for each in filters:
        name = each.get("templateVariable")
        if not name:
            lose(f'filter "{each.get("labelKey", "")}" is left out: Grafana has no filter of all panels')
            continue
        value = each.get("stringValue") or (each.get("stringArray") or {}).get("values", [""])[0] or ALL
        value = ALL if value == "*" else value
        yield {"type": "textbox", "name": name, "query": value, "current": {"text": value, "value": value}}
        if "timeSeriesQuery" in each or "stringArray" in each:
            lose(f'variable "{name}" is a text to type: its choices are left out')


def with_variables(value: Any, filters: Sequence[Mapping[str, Any]]) -> Any:
    """Return a widget's JSON whose queries compare with variables as Grafana does."""
    known = {str(each["templateVariable"]): each for each in filters if each.get("templateVariable")}
    return _in(value, known, "")


def _in(value: Any, known: Mapping[str, Mapping[str, Any]], key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _in(item, known, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_in(item, known, key) for item in value]
    if not isinstance(value, str) or "${" not in value or key not in ("filter", "prometheusQuery"):
        return value

    def compared(match: re.Match[str]) -> str:
        found = known.get(match["name"] or "")
        if found is None:
            return match[0]
        label = str(found.get("labelKey", ""))
        if key == "prometheusQuery":
            return f'{label}=~"${{{match["name"]}}}"'
        field = _FIELDS.get(str(found.get("filterType", "")), "resource.labels.") + label
        return f'{field}=monitoring.regex.full_match("${{{match["name"]}}}")'

    return _VALUE.sub(r"${\1}", _OPEN.sub(compared, value))
