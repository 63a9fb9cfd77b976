"""What calls of one kind add to the metrics: the cells are looked up once for each kind of call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from obskit import catalog
from obskit.llm.settings import shown
from obskit.llm.usage import Usage
from obskit.signals import cells

__all__ = ["Recorded", "Series", "series_of"]

_MOST_KNOWN: Final = 5_000
_ERROR, _KIND, _UNIT, _SIDE = "error.type", "obskit.token.kind", "obskit.unit", "gen_ai.token.type"

_KINDS: Final = ("input", "cached", "cache_write", "tool_use", "output", "thinking")

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
        name: of the calls' spans.
    """

    __slots__ = (
        "_cells",
        "_cost",
        "_first",
        "_input",
        "_kinds",
        "_output",
        "_store",
        "_unpriced",
        "_well",
        "labels",
        "name",
        "on_span",
    )

    def __init__(self, store: cells.Cells, labels: Mapping[str, str]) -> None:
        self._store = store
        self.labels = labels
        operation, model = labels["gen_ai.operation.name"], labels["gen_ai.request.model"]
        self.on_span = {name: shown(name, text) for name, text in labels.items()}
        self.name = shown("", f"{operation} {model}" if model else operation)
        self._cells: dict[tuple[str, str], Any] = {}
        self._kinds: list[Any] = [None] * len(_KINDS)
        self._well: Any = None
        self._cost: Any = None
        self._unpriced: Any = None
        self._first: Any = None
        self._input: Any = None
        self._output: Any = None

    def tell(self, recorded: Recorded) -> None:
        """Record what a call adds."""
        self._store.later(self._add, recorded)

    def first_chunk(self, seconds: float, seen: cells.Seen | None) -> None:
        """Record when a stream's first chunk came."""
        self._store.later(self._add_first, (seconds, seen))

    def retried(self, error: str, seen: cells.Seen | None) -> None:
        """Record an attempt after one that had failed."""
        self._store.later(self._add_retry, (error, seen))

    def told(self, metric: catalog.Metric, value: float, label: str, text: str, seen: cells.Seen | None) -> None:
        """Record one point.

        Args:
            metric: of the catalog.
            value: in its unit.
            label: one more label, empty for none.
            text: its value.
            seen: the exemplar.
        """
        self._store.later(self._add_one, (metric, value, label, text, seen))

    # ------------------------------------------------------------------ into the cells

    def _add(self, recorded: Recorded) -> None:
        seconds, error, usage, cost_usd, is_accounted, route, is_old_name, seen = recorded
        if seconds is not None:
            cell = self._cell(catalog.AI_OPERATION_DURATION, _ERROR, error) if error else self._well
            if cell is None:
                cell = self._well = self._cell(catalog.AI_OPERATION_DURATION, "", "")
            cell.add(seconds, seen)
        if not is_accounted:
            return
        if usage is not None:
            self._add_usage(usage, seen, is_old_name=is_old_name)
        if cost_usd is None:
            if self._unpriced is None:
                self._unpriced = self._cell(catalog.AI_UNPRICED_CALLS, "", "")
            self._unpriced.add(1, seen)
        elif cost_usd:
            if self._cost is None:
                self._cost = self._cell(catalog.AI_COST, "", "")
            self._cost.add(cost_usd, seen)
        if cost_usd or usage is not None:
            _route_of(self._store, route).add(usage, cost_usd, seen)

    def _add_usage(self, usage: Usage, seen: cells.Seen | None, *, is_old_name: bool) -> None:
        kinds = (usage.input, usage.cached, usage.cache_write, usage.tool_use, usage.output, usage.thinking)
        for place, count in enumerate(kinds):
            if count:
                cell = self._kinds[place]
                if cell is None:
                    cell = self._kinds[place] = self._cell(catalog.AI_TOKENS, _KIND, _KINDS[place])
                cell.add(count, seen)
        if usage.units:
            for unit, amount in usage.units.items():
                if amount:
                    self._cell(catalog.AI_UNITS, _UNIT, unit).add(amount, seen)
        if not is_old_name:
            return
        if count := usage.billed_input:
            if self._input is None:
                self._input = self._cell(catalog.AI_TOKEN_USAGE, _SIDE, "input")
            self._input.add(count, seen)
        if count := usage.billed_output:
            if self._output is None:
                self._output = self._cell(catalog.AI_TOKEN_USAGE, _SIDE, "output")
            self._output.add(count, seen)

    def _add_first(self, recorded: tuple[float, cells.Seen | None]) -> None:
        if self._first is None:
            self._first = self._cell(catalog.AI_TIME_TO_FIRST_CHUNK, "", "")
        self._first.add(*recorded)

    def _add_retry(self, recorded: tuple[str, cells.Seen | None]) -> None:
        error, seen = recorded
        self._cell(catalog.AI_RETRIES, _ERROR, error).add(1, seen)

    def _add_one(self, recorded: tuple[catalog.Metric, float, str, str, cells.Seen | None]) -> None:
        metric, value, label, text, seen = recorded
        self._cell(metric, label, text).add(value, seen)

    def _cell(self, metric: catalog.Metric, label: str, text: str) -> Any:
        """Return the cell of a metric with one more label; without any where the label's name is empty."""
        key = (metric.name, text)
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= _MOST_KNOWN:
                self._cells.clear()
            labels = {**self.labels, label: text} if label else self.labels
            cell = self._cells[key] = self._store.cell(metric, labels)
        return cell


class _Route:
    """What the calls of one route add up to.

    Args:
        store: keeps the cells.
        route: its template, empty outside of requests.
    """

    __slots__ = ("_cost", "_labels", "_store", "_tokens")

    def __init__(self, store: cells.Cells, route: str) -> None:
        self._store = store
        self._labels = {"http.route": route} if route else {}
        self._cost: Any = None
        self._tokens: Any = None

    def add(self, usage: Usage | None, cost_usd: float | None, seen: cells.Seen | None) -> None:
        if cost_usd:
            if self._cost is None:
                self._cost = self._store.cell(catalog.AI_ROUTE_COST, self._labels)
            self._cost.add(cost_usd, seen)
        if usage is not None and (count := usage.total):
            if self._tokens is None:
                self._tokens = self._store.cell(catalog.AI_ROUTE_TOKENS, self._labels)
            self._tokens.add(count, seen)


def _route_of(store: cells.Cells, route: str) -> _Route:
    found = store.sets.get(route)
    if found is None:
        found = _kept(store, route, _Route(store, route))
    return found  # type: ignore[no-any-return]


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
        found = _kept(store, key, Series(store, labels))
    return found  # type: ignore[no-any-return]


def _kept(store: cells.Cells, key: Any, made: Any) -> Any:
    if len(store.sets) >= _MOST_KNOWN:
        store.sets.clear()
    return store.sets.setdefault(key, made)
