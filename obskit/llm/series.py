"""What calls of one kind add to the metrics: the cells are looked up once for all calls that are added together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import add
from typing import Any, Final

from obskit import catalog
from obskit.llm.servers import server_attributes
from obskit.llm.settings import shown
from obskit.llm.usage import KINDS, Usage
from obskit.signals import cells

__all__ = ["Recorded", "Series", "series_of"]

_MOST_KNOWN: Final = 5_000
_MOST_SERVERS: Final = 100
_ERROR, _KIND, _UNIT, _SIDE = "error.type", "obskit.token.kind", "obskit.unit", "gen_ai.token.type"
_ROUTE: Final = "http.route"

Recorded = tuple[float | None, str, Usage | None, float | None, bool, str, bool, cells.Seen | None]
"""What a call adds: seconds (None for what is no call of its own), `error.type`, what it used, its cost in USD (None
where it is unknown), whether it is to be accounted for, the route, whether under the older names, and the exemplar."""


class Series:
    """The series of the calls of one operation, provider, model and tier.

    Args:
        store: keeps the cells.
        labels: of all these series.

    Attributes:
        labels: as given; not to be changed.
        on_span: the same for the calls' spans; not to be changed.
        servers: the same with where the calls go, by the URL of that, see `at`; not to be changed.
        name: of the calls' spans.
        tell: records what a call adds.
    """

    __slots__ = ("_cells", "_store", "labels", "name", "on_span", "servers", "tell")

    def __init__(self, store: cells.Cells, labels: Mapping[str, str]) -> None:
        self._store = store
        self.labels = labels
        operation, model = labels["gen_ai.operation.name"], labels["gen_ai.request.model"]
        self.on_span = {name: shown(name, text) for name, text in labels.items()}
        self.name = shown("", f"{operation} {model}" if model else operation)
        self._cells: dict[tuple[str, str, str], Any] = {}
        self.servers: dict[str, dict[str, Any]] = {"": self.on_span}
        self.tell: Callable[[Recorded], None] = partial(store.later, self._add)

    def at(self, base_url: str) -> dict[str, Any]:
        """Return what the spans of calls to that place say from the beginning; not to be changed."""
        if len(self.servers) >= _MOST_SERVERS:
            self.servers.clear()
        found = self.servers[base_url] = {**self.on_span, **server_attributes(base_url)}
        return found

    def told(self, metric: catalog.Metric, value: float, label: str, text: str, seen: cells.Seen | None) -> None:
        """Record one point.

        Args:
            metric: of the catalog.
            value: in its unit.
            label: one more label, empty for none.
            text: its value.
            seen: the exemplar.
        """
        self._store.later(self._add_points, (metric, value, label, text, seen))

    def first_chunk(self, seconds: float, seen: cells.Seen | None) -> None:
        """Record when a stream's first chunk came."""
        self.told(catalog.AI_TIME_TO_FIRST_CHUNK, seconds, "", "", seen)

    def retried(self, error: str, seen: cells.Seen | None) -> None:
        """Record an attempt after one that had failed."""
        self.told(catalog.AI_RETRIES, 1, _ERROR, error, seen)

    # ------------------------------------------------------------------ into the cells

    def _add_points(self, recorded: Sequence[tuple[catalog.Metric, float, str, str, cells.Seen | None]]) -> None:
        for metric, value, label, text, seen in recorded:
            self._cell(metric, label, text).add(value, seen)

    def _add(self, recorded: Sequence[Recorded]) -> None:
        seconds, errors, usages, costs, *rest, _ = zip(*recorded, strict=True)
        is_usual = not any(errors) and None not in seconds and None not in usages and None not in costs
        if is_usual and all(len(set(column)) == 1 for column in rest):
            self._add_alike(recorded)
            return
        alike: dict[tuple[Any, ...], list[Recorded]] = {}
        for each in recorded:
            duration_s, error, usage, cost_usd, is_accounted, route, is_old_name, _ = each
            key = (error, route, duration_s is None, usage is None, cost_usd is None, is_accounted, is_old_name)
            found = alike.get(key)
            if found is None:
                alike[key] = [each]
            else:
                found.append(each)
        for found in alike.values():
            self._add_alike(found)

    def _add_alike(self, recorded: Sequence[Recorded]) -> None:
        """Add calls that differ in their numbers alone."""
        seconds, errors, usages, costs, are_accounted, routes, are_old_names, seen = zip(*recorded, strict=True)
        error, route = errors[0], routes[0]
        if seconds[0] is not None:
            self._cell(catalog.AI_OPERATION_DURATION, _ERROR if error else "", error).add_all(seconds, seen)
        if costs[0] is None:
            if are_accounted[0]:
                self._cell(catalog.AI_UNPRICED_CALLS, "", "").add_all((1,) * len(seen), seen)
        elif (found := _not_zero(costs, seen)) is not None:
            self._cell(catalog.AI_COST, "", "").add_all(*found)
            self._route_cell(catalog.AI_ROUTE_COST, route).add_all(*found)
        if usages[0] is not None:
            self._add_usages(usages, route, seen, is_old_name=are_old_names[0])

    def _add_usages(
        self, usages: Sequence[Usage], route: str, seen: Sequence[cells.Seen | None], *, is_old_name: bool
    ) -> None:
        *kinds, inputs, outputs, _, units, _ = zip(*usages, strict=True)
        for kind, counts in zip(KINDS, kinds, strict=True):
            if (found := _not_zero(counts, seen)) is not None:
                self._cell(catalog.AI_TOKENS, _KIND, kind).add_all(*found)
        if is_old_name:
            for side, counts in (("input", inputs), ("output", outputs)):
                if (found := _not_zero(counts, seen)) is not None:
                    self._cell(catalog.AI_TOKEN_USAGE, _SIDE, side).add_all(*found)
        if (found := _not_zero(list(map(add, inputs, outputs)), seen)) is not None:
            self._route_cell(catalog.AI_ROUTE_TOKENS, route).add_all(*found)
        for amounts, each in zip(units, seen, strict=True) if any(units) else ():
            for unit, amount in amounts.items():
                if amount:
                    self._cell(catalog.AI_UNITS, _UNIT, unit).add(amount, each)

    def _cell(self, metric: catalog.Metric, label: str, text: str) -> Any:
        """Return the cell of a metric with one more label; without any where the label's name is empty."""
        found = self._cells.get((metric.name, label, text))
        return found or self._made(metric, label, text, {**self.labels, label: text} if label else self.labels)

    def _route_cell(self, metric: catalog.Metric, route: str) -> Any:
        found = self._cells.get((metric.name, _ROUTE, route))
        return found or self._made(metric, _ROUTE, route, {_ROUTE: route} if route else {})

    def _made(self, metric: catalog.Metric, label: str, text: str, labels: Mapping[str, str]) -> Any:
        if len(self._cells) >= _MOST_KNOWN:
            self._cells.clear()
        cell = self._cells[metric.name, label, text] = self._store.cell(metric, labels)
        return cell


def _not_zero(
    values: Sequence[float], seen: Sequence[cells.Seen | None]
) -> tuple[Sequence[float], Sequence[cells.Seen | None]] | None:
    """Return the values that are not 0, and what was seen of each; None where there is none."""
    if all(values):
        return values, seen
    if not any(values):
        return None
    pairs = [pair for pair in zip(values, seen, strict=True) if pair[0]]
    return [value for value, _ in pairs], [each for _, each in pairs]


def series_of(operation: str, provider: str, model: str, tier: str | None) -> Series:
    """Return the series of such calls.

    Args:
        operation: `gen_ai.operation.name`.
        provider: `gen_ai.provider.name`.
        model: the model's bare name.
        tier: of the user, None where it is unknown.
    """
    store = cells.current()
    key = (operation, provider, model, tier)
    found = store.sets.get(key)
    if found is None:
        labels = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        if tier is not None:
            labels["user.tier"] = tier
        if len(store.sets) >= _MOST_KNOWN:
            store.sets.clear()
        found = store.sets.setdefault(key, Series(store, labels))
    return found  # type: ignore[no-any-return]
