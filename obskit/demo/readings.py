"""What the local backend shows after the script, read over HTTP as a person or a tool would."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from obskit.catalog import (
    AI_COST,
    AI_OPERATION_DURATION,
    AI_TOKENS,
    AI_UNPRICED_CALLS,
    HTTP_CLIENT_DURATION,
    HTTP_SERVER_DURATION,
    TELEMETRY_LOST,
    Kind,
    Metric,
    Route,
    promql_label,
    promql_name,
)
from obskit.demo.history import JOB as HISTORY
from obskit.signals.delivery import SIGNALS

__all__ = ["BackendReader"]


class BackendReader:
    """Asks a local backend.

    Args:
        url: its HTTP address.
        project: its project.
    """

    def __init__(self, url: str, project: str) -> None:
        self._url, self._project = url, project

    def get(self, path: str) -> Any:
        """Return the JSON at a path.

        Raises:
            OSError: the backend does not answer, or with an error.
        """
        with urllib.request.urlopen(f"{self._url}{path}", timeout=30.0) as response:  # noqa: S310 - loopback
            return json.load(response)

    def total(self, metric: Metric, *, by: str = "", where: Mapping[str, str] | None = None) -> dict[str, float]:
        """Return the present total of a counter, or of a histogram's records, without the made-up history.

        Args:
            metric: from the catalog.
            by: label to split by, as PromQL spells it; the only key is empty without it.
            where: attributes that the series must have.
        """
        name = promql_name(metric.metric_type(Route.GCP))
        if metric.kind is Kind.HISTOGRAM:
            name += "_count"
        labels = {promql_label(label): value for label, value in (where or {}).items()}
        matchers = [f'job!="{HISTORY}"', *(f'{label}="{value}"' for label, value in labels.items())]
        query = f"sum by ({by}) ({name}{{{','.join(matchers)}}})" if by else f"sum({name}{{{','.join(matchers)}}})"
        return self._ask(query, by)

    def _ask(self, query: str, by: str = "") -> dict[str, float]:
        path = f"/v1/projects/{self._project}/location/global/prometheus/api/v1/query"
        answer = self.get(f"{path}?{urllib.parse.urlencode({'query': query})}")
        return {series["metric"].get(by, ""): float(series["value"][1]) for series in answer["data"]["result"]}

    def lowest(self, gauge: Metric) -> float | None:
        """Return a gauge's lowest value of the last two hours, over all series; None where there is none."""
        name = promql_name(gauge.metric_type(Route.GCP))
        return self._ask(f"min(min_over_time({name}[2h]))").get("")

    def one(self, metric: Metric, **where: str) -> float:
        """Return a metric's total over all series, 0 where there is none; ``__`` in a name stands for a dot."""
        labels = {name.replace("__", "."): value for name, value in where.items()}
        return self.total(metric, where=labels).get("", 0.0)

    # ------------------------------------------------------------------ figures

    def requests_by_service(self) -> dict[str, int]:
        """Return the records of the server histogram."""
        return {job: round(count) for job, count in self.total(HTTP_SERVER_DURATION, by="job").items()}

    def tokens_by_kind(self) -> dict[str, int]:
        """Return the counted tokens."""
        label = promql_label("obskit.token.kind")
        return {kind: round(count) for kind, count in self.total(AI_TOKENS, by=label).items()}

    def models(self) -> dict[str, dict[str, float]]:
        """Return tokens and cost by model."""
        label = promql_label("gen_ai.request.model")
        tokens, cost = self.total(AI_TOKENS, by=label), self.total(AI_COST, by=label)
        return {model: {"tokens": round(count), "cost_usd": cost.get(model, 0.0)} for model, count in tokens.items()}

    def cost_usd(self) -> float:
        """Return the counted cost."""
        return self.one(AI_COST)

    def unpriced_calls(self) -> int:
        """Return how many calls had no known price."""
        return round(self.one(AI_UNPRICED_CALLS))

    def ai_calls(self, status: str = "") -> int:
        """Return how many AI calls were recorded, or those that failed with a status."""
        where = {"error.type": status} if status else {}
        return round(self.total(AI_OPERATION_DURATION, where=where).get("", 0.0))

    def client_requests_to(self, port: int) -> int:
        """Return how many requests the services' own HTTP clients have counted towards a port."""
        return round(self.one(HTTP_CLIENT_DURATION, server__port=str(port)))

    def lost(self) -> dict[str, int]:
        """Return what the services count as lost telemetry, by signal and reason."""
        found: dict[str, int] = {}
        for signal in SIGNALS:
            reasons = self.total(TELEMETRY_LOST, by=promql_label("obskit.reason"), where={"obskit.signal": signal})
            found |= {f"{signal}: {reason}": round(count) for reason, count in reasons.items() if count}
        return found

    def stats(self) -> dict[str, Any]:
        """Return the backend's counts of spans, lines, errors, objects."""
        found: dict[str, Any] = self.get("/api/stats")
        return found

    def incidents(self) -> list[dict[str, Any]]:
        """Return all incidents."""
        found: list[dict[str, Any]] = self.get("/api/incidents")["incidents"]
        return found

    def notifications(self) -> list[dict[str, Any]]:
        """Return the inbox."""
        found: list[dict[str, Any]] = self.get("/api/notifications")["notifications"]
        return found

    def policies(self) -> list[dict[str, Any]]:
        """Return the alert policies, as the API holds them."""
        found: list[dict[str, Any]] = self.get(f"/v3/projects/{self._project}/alertPolicies").get("alertPolicies", [])
        return found

    def error_groups(self) -> list[dict[str, Any]]:
        """Return the groups of errors."""
        found: list[dict[str, Any]] = self.get("/api/errors")["groups"]
        return found
