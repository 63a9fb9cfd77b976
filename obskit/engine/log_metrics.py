"""Log-based metrics: what each log entry counts for.

Source: the message ``LogMetric`` of the Logging API v2.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from obskit.engine.log_filters import compile_filter
from obskit.engine.logs import Entry, extractor_of
from obskit.engine.series import Distribution
from obskit.errors import Problem, QueryError

__all__ = ["LogMetric", "bounds_of"]

_DEFAULTS: Final = {"INT64": "0", "BOOL": "false"}
# Source: LogMetric.bucket_options is required; the console's default for it.
_BUCKETS: Final = {"exponentialBuckets": {"numFiniteBuckets": 64, "growthFactor": 2.0, "scale": 0.01}}
_MOST_BUCKETS: Final = 200
_BUCKETS_WAY_OUT: Final = "Give a scale above 0 with a growthFactor above 1, a width above 0, or bounds that rise"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMetric:
    """A metric that log entries count for.

    Attributes:
        type: of the metric, ``logging.googleapis.com/user/NAME``.
        is_distribution: whether it records values; else it counts entries.
        unit: of the values.
        description: for people.
        label_types: each label with ``STRING``, ``INT64`` or ``BOOL``.
    """

    type: str
    is_distribution: bool
    unit: str
    description: str
    label_types: Mapping[str, str]
    _accepts: Callable[[Entry], bool]
    _labels: Mapping[str, Callable[[Entry], str]]
    _value: Callable[[Entry], str] | None
    _bounds: tuple[float, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> LogMetric:
        """Return the metric of a ``LogMetric`` in JSON, with its descriptor.

        Raises:
            UnsupportedError: its filter has something that is not matched here.
            QueryError: its filter or an extractor does not parse, or its buckets are none.
        """
        described = document.get("metricDescriptor") or {}
        name = str(described.get("type") or document.get("name") or "").rpartition("/user/")[2]
        place = f'log-based metric "{name}"'
        labels = {str(key): str(text) for key, text in (document.get("labelExtractors") or {}).items()}
        is_distribution = described.get("valueType") == "DISTRIBUTION"
        value = str(document.get("valueExtractor") or "")
        return cls(
            type=f"logging.googleapis.com/user/{name}",
            is_distribution=is_distribution,
            unit=str(described.get("unit") or "1"),
            description=str(document.get("description") or ""),
            label_types={str(e.get("key")): str(e.get("valueType") or "STRING") for e in described.get("labels") or ()},
            _accepts=compile_filter(str(document.get("filter") or "")),
            _labels={key: extractor_of(f'label "{key}"', text, place) for key, text in labels.items()},
            _value=extractor_of("the value", value, place) if is_distribution else None,
            _bounds=bounds_of(document.get("bucketOptions") or _BUCKETS, place) if is_distribution else (),
        )

    def counts(self, entry: Entry) -> tuple[dict[str, str], float | Distribution] | None:
        """Return labels and what an entry adds: 1, or a distribution of its value; None where it does not count."""
        if not self._accepts(entry):
            return None
        labels = {key: self._typed(key, extract(entry)) for key, extract in self._labels.items()}
        if self._value is None:
            return labels, 1.0
        value = _number(self._value(entry))
        if value is None:
            return None
        counts = [0] * (len(self._bounds) + 1)
        counts[bisect_right(self._bounds, value)] = 1
        return labels, Distribution(1, value, self._bounds, tuple(counts))

    def _typed(self, key: str, text: str) -> str:
        kind = self.label_types.get(key, "STRING")
        if kind == "INT64":
            number = _number(text)
            return _DEFAULTS[kind] if number is None else str(int(number))
        if kind == "BOOL":
            return text.lower() if text.lower() in {"true", "false"} else _DEFAULTS[kind]
        return text


def _number(text: str) -> float | None:
    try:
        number = float(text.removesuffix("s"))  # a duration is its seconds, as in httpRequest.latency
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def bounds_of(options: Mapping[str, Any], place: str = "bucketOptions") -> tuple[float, ...]:
    """Return the bounds of ``BucketOptions`` in JSON.

    Args:
        options: linear, exponential or explicit buckets.
        place: of the options, for messages.

    Raises:
        QueryError: they make no buckets.

    Source: the message ``Distribution.BucketOptions``; at most 200 buckets are finite.
    """
    problem = ""
    count = _finite_buckets(options)
    if not 1 <= count <= _MOST_BUCKETS:
        problem = f"there are {count} finite buckets, must be 1 to {_MOST_BUCKETS}"
    else:
        try:
            bounds = _bounds(options)
        except OverflowError:
            bounds = (math.inf,)
        if not all(math.isfinite(bound) for bound in bounds):
            problem = "a bound is too large"
        elif any(after <= before for before, after in pairwise(bounds)):
            problem = "the bounds do not rise"
        else:
            return bounds
    raise QueryError(Problem(place=place, problem=problem, way_out=_BUCKETS_WAY_OUT))


def _finite_buckets(options: Mapping[str, Any]) -> int:
    for name in ("linearBuckets", "exponentialBuckets"):
        if buckets := options.get(name):
            return int(buckets.get("numFiniteBuckets") or 0)
    return len((options.get("explicitBuckets") or {}).get("bounds") or ())


def _bounds(options: Mapping[str, Any]) -> tuple[float, ...]:
    if linear := options.get("linearBuckets"):
        offset, width = float(linear.get("offset") or 0.0), float(linear.get("width") or 0.0)
        return tuple(offset + width * i for i in range(_finite_buckets(options) + 1))
    if exponential := options.get("exponentialBuckets"):
        scale, growth = float(exponential.get("scale") or 0.0), float(exponential.get("growthFactor") or 0.0)
        return tuple(scale * growth**i for i in range(_finite_buckets(options) + 1))
    explicit: Sequence[Any] = options["explicitBuckets"]["bounds"]
    return tuple(float(bound) for bound in explicit)
