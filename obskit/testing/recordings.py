"""Recorded series in a file: what a backend held, to be played again in a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obskit.engine.series import Series
from obskit.errors import DefinitionError, Problem
from obskit.testing.inputs import Sources

__all__ = ["Recording", "load_recording", "save_recording"]

_FORMAT: Final = "obskit recording 1"


@dataclass(frozen=True, slots=True)
class Recording:
    """Series by their labels, with times in milliseconds since the recording's beginning."""

    rows: tuple[tuple[Mapping[str, str], tuple[int, ...], tuple[float, ...]], ...]
    length_ms: int

    def feed(self, sources: Sources) -> None:
        """Put them where the engine finds them."""
        begin = sources.clock.start_ms
        for labels, times, values in self.rows:
            sources.plain.series.append(Series(dict(labels), [begin + at for at in times], list(values)))
        sources.last_ms = max(sources.last_ms, begin + self.length_ms)


def save_recording(path: Path, series: Iterable[Series], *, start_ms: int, end_ms: int) -> int:
    """Write series to a file and return how many there are; times count from `start_ms` on."""
    rows = [
        {
            "labels": dict(sorted(each.labels.items())),
            "times_ms": [at - start_ms for at in each.times_ms],
            "values": [float(value) for value in each.values],
        }
        for each in series
    ]
    rows.sort(key=lambda row: str(row["labels"]))
    head = json.dumps({"format": _FORMAT, "length_ms": end_ms - start_ms})
    body = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f'{head[:-1]}, "series": [\n{body}\n]}}\n', encoding="utf-8")
    return len(rows)


def load_recording(path: Path, *, beside: str = "") -> Recording:
    """Return the recording of a file.

    Args:
        path: where it is.
        beside: a file; a relative path is looked for in its folder first.

    Raises:
        DefinitionError: it cannot be read, or is no recording.
    """
    near = Path(beside).parent / path if beside else path
    chosen = near if near.exists() else path
    try:
        document: Any = json.loads(chosen.read_text(encoding="utf-8"))
        rows = tuple(
            (row["labels"], tuple(map(int, row["times_ms"])), tuple(map(float, row["values"])))
            for row in document["series"]
        )
        return Recording(rows, int({_FORMAT: document["length_ms"]}[document["format"]]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"is no recording that can be read: {error}"
        way_out = "Make one with `obskit backtest --record FILE`"
        raise DefinitionError(Problem(place=str(path), problem=problem, way_out=way_out)) from error
