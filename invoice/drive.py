"""What obskit counts of the mix: one JSON line.

python invoice/drive.py URL CALLS SEED        (in an environment with obskit and one major version of google-genai)
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import warnings
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import google.genai as genai  # noqa: E402
from mix import Mix  # noqa: E402
from rules import settings  # noqa: E402
from starlette.applications import Starlette  # noqa: E402

import obskit  # noqa: E402
from obskit.llm.hooks import CallHook, add_hook  # noqa: E402
from obskit.testing import Captured, capture  # noqa: E402

__all__ = ["Totals", "counted"]


class Totals(CallHook):
    """Adds up what obskit says of each call, to the last digit."""

    def __init__(self) -> None:
        self.usd: dict[str, Decimal] = {}
        self.incomplete = 0

    def after(self, call: Any) -> None:
        self.usd[call.model] = self.usd.get(call.model, Decimal(0)) + (call.cost or 0)
        self.incomplete += call.is_incomplete

    def failed(self, call: Any, error: Any) -> None:
        self.after(call)


def counted(seen: Captured) -> tuple[Counter[str], Counter[str]]:
    """Return the tokens by model and kind, and the units by model and unit, that obskit's metrics tell."""
    tokens: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for point in seen.metrics:
        model = point.attributes.get("gen_ai.request.model")
        if point.metric == "obskit.gen_ai.tokens":
            tokens[f"{model} {point.attributes['obskit.token.kind']}"] += int(point.value)
        elif point.metric == "obskit.gen_ai.units":
            units[f"{model} {point.attributes['obskit.unit']}"] += point.value
    return tokens, units


def main() -> None:
    url, calls, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.WARNING)
    obskit.instrument(Starlette(), exporters="memory", prices=settings(), log_level="error")
    totals = Totals()
    add_hook(totals)
    mix = Mix(url, seed)
    with capture() as seen:
        asyncio.run(mix.run(calls))
        tokens, units = counted(seen)
        retries, unpriced = seen.total("obskit.gen_ai.retries"), seen.total("obskit.gen_ai.unpriced_calls")
        metric_usd = seen.total("obskit.gen_ai.cost")
        operations = [span.attributes.get("gen_ai.operation.name", "execute_tool") for span in seen.spans]
    print(
        json.dumps(
            {
                "sdk": genai.__version__,
                "kinds": dict(mix.kinds),
                "spans": sum(operation != "execute_tool" for operation in operations),
                "tokens": dict(tokens),
                "units": dict(units),
                "usd": {model: str(cost) for model, cost in totals.usd.items()},
                "metric_usd": metric_usd,
                "incomplete": totals.incomplete,
                "retries": retries,
                "unpriced_calls": unpriced,
            }
        )
    )


if __name__ == "__main__":
    main()
