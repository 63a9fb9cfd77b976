"""Other thresholds worth a look, and the one that would have paged as often as is wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.backtest.play import Played, Values, play
from obskit.backtest.sources import Past
from obskit.backtest.thresholds import Varied, varied_of
from obskit.errors import Problem, QueryError

__all__ = ["Tuned", "nearby", "tune"]

_FACTORS: Final = (0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0)
_QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)
_FINE: Final = 8


def nearby(varied: Varied, values: Values) -> list[float]:
    """Return thresholds around a policy's own; around the values that there were where its own is 0."""
    if varied.threshold:
        return [rounded(varied.threshold * factor) for factor in _FACTORS]
    found = [values.quantile(share) for share in _QUANTILES]
    return sorted({rounded(each) for each in found if each})


def rounded(value: float, digits: int = 3) -> float:
    """Return a number with so many significant digits."""
    return float(f"{value:.{digits}g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A proposal.

    Attributes:
        varied: the condition that it is for.
        current: what its own threshold would have done.
        proposed: the most watchful threshold that was tried and pages at most as often as wanted; None for none.
        tried: everything that was tried, from the most watchful threshold to the least.
        wanted: pages a month.
    """

    varied: Varied
    current: Played
    proposed: Played | None
    tried: tuple[Played, ...]
    wanted: float


def tune(policy: Mapping[str, Any], past: Past, *, start_ms: int, end_ms: int, pages: float) -> Tuned:
    """Return a threshold that would have paged about so often a month, judged by the past.

    Args:
        policy: in the REST API's JSON.
        past: where series come from.
        start_ms: begin of the period, in milliseconds since the epoch.
        end_ms: its end.
        pages: at most so many a month of 30 days.

    Raises:
        QueryError: the policy has no threshold, or cannot be evaluated on this past.
        BackendError: the past cannot be read.
    """
    varied = varied_of(policy)
    if varied is None:
        place = f'policy "{policy.get("displayName", "")}"'
        problem = "no condition compares with a number, so that there is nothing to tune"
        raise QueryError(Problem(place=place, problem=problem, way_out="Tune a policy such as `… > 0.05`"))
    (current,), values = play(policy, past, start_ms=start_ms, end_ms=end_ms)
    if not values.sample and _shows_values(varied):
        raise _nothing(policy, f"{past.place} has no values that it could compare")
    rough = _rough(varied, values)
    tried = _played(policy, past, current, rough)
    if not any(each.pages for each in tried):
        raise _nothing(policy, f"it would not have fired in {past.place} with any threshold that was tried")
    low, high = _bracket(tried, varied, pages)
    if low is not None and high is not None:
        fine = [low + (high - low) * place / (_FINE + 1) for place in range(1, _FINE + 1)]
        known = {each.threshold for each in tried}
        tried += _played(policy, past, current, [rounded(each) for each in fine if rounded(each) not in known])[1:]
    order = sorted(tried, key=lambda each: each.threshold or 0.0, reverse=not varied.is_above)
    return Tuned(varied=varied, current=current, proposed=_best(order, pages), tried=tuple(order), wanted=pages)


def _nothing(policy: Mapping[str, Any], problem: str) -> QueryError:
    way_out = "Check the metric's name, the export route (--route) and the period (--since)"
    return QueryError(Problem(place=f'policy "{policy.get("displayName", "")}"', problem=problem, way_out=way_out))


def _shows_values(varied: Varied) -> bool:
    """Whether what is compared can be had apart from the comparison."""
    return varied.comparison is None or bool(varied.comparison.values)


def _rough(varied: Varied, values: Values) -> list[float]:
    """Thresholds over the whole range of the values, most of them where values begin to be rare."""
    if not _shows_values(varied):  # look around the threshold itself
        return sorted({rounded(varied.threshold * 2.0 ** (power / 2)) for power in range(-8, 9)})
    shares = _QUANTILES if varied.is_above else tuple(1 - share for share in _QUANTILES)
    edges = [each for each in (values.highest if varied.is_above else values.lowest) if each is not None]
    extremes = [max(edges), min(edges)] if edges else []
    found = [each for share in shares if (each := values.quantile(share)) is not None]
    found += [each * factor for each in extremes for factor in (0.9, 1.0, 1.1)]
    return sorted({rounded(each) for each in found if math.isfinite(each)})


def _played(policy: Mapping[str, Any], past: Past, current: Played, thresholds: Sequence[float]) -> list[Played]:
    found, _ = play(policy, past, start_ms=current.start_ms, end_ms=current.end_ms, thresholds=thresholds)
    return found


def _watchful(tried: Sequence[Played], varied: Varied) -> list[Played]:
    return sorted(tried, key=lambda each: each.threshold or 0.0, reverse=varied.is_above)


def _bracket(tried: Sequence[Played], varied: Varied, pages: float) -> tuple[float | None, float | None]:
    """The last threshold, from the least watchful on, that pages seldom enough, and the next one, that does not."""
    last = None
    for each in _watchful(tried, varied):
        if each.pages_a_month > pages:
            return last, each.threshold
        last = each.threshold
    return last, None


def _best(order: Sequence[Played], pages: float) -> Played | None:
    """The last one that is seldom enough, from the least watchful on.

    Beyond the first that pages too often they may page less again: incidents that run into one another are few and
    long, and no proposal.
    """
    best = None
    for each in reversed(order):
        if each.pages_a_month > pages:
            break
        best = each
    return best
