"""How PromQL names the labels of a series of Cloud Monitoring."""

from __future__ import annotations

from typing import Protocol

from obskit.catalog import prometheus_label

__all__ = ["promql_labels"]


class Named(Protocol):
    """What tells a series from the others."""

    @property
    def metric_labels(self) -> tuple[tuple[str, str], ...]:
        """Of the metric."""

    @property
    def resource_type(self) -> str:
        """Of the monitored resource."""

    @property
    def resource_labels(self) -> tuple[tuple[str, str], ...]:
        """Of the monitored resource."""


def promql_labels(key: Named, project: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels as PromQL sees them, and the plain spelling of each one that has another in UTF-8.

    Where metric and resource have a label of the same name, it is the resource's, and the metric's is ``metric_NAME``.
    Source: "Resolving label conflicts" in "Mapping Cloud Monitoring metrics to PromQL".
    """
    labels = {"project_id": project, "monitored_resource": key.resource_type}
    utf8_names = {}
    resource = {prometheus_label(name) for name, value in key.resource_labels if value}
    named = [(name, name, value) for name, value in key.resource_labels]
    for name, value in key.metric_labels:
        prefix = "metric_" if prometheus_label(name) in resource else ""
        named.append((prefix + name, prefix + prometheus_label(name), value))
    for name, spelled, value in named:
        plain = prometheus_label(spelled)
        if value:
            labels[plain] = value
        if plain != name:
            utf8_names[name] = plain
    return labels, utf8_names
