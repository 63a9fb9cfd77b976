"""The ledger of a fake Gemini beside obskit's totals, for each major version of google-genai: `make invoice`."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rules import BATCH, UNIT_PRICES, cost_of

from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.demo.ledger import Ledger

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
ENVIRONMENTS: Final = ROOT / "benchmarks" / ".venvs"
KINDS: Final = ("input", "cached", "tool_use", "output", "thinking")


def environment(major: int) -> Path:
    """Return the interpreter of an environment with that major version of the SDK; made if it is not there."""
    folder = ENVIRONMENTS / f"genai-{major}"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists():
        print(f"making the environment of google-genai {major}.x …", file=sys.stderr, flush=True)
        packages = ["-e", str(ROOT), f"google-genai>={major},<{major + 1}", "aiohttp", "starlette"]
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(pip, check=True)
        stamp.touch()
    return python


def billed(ledger: Ledger) -> tuple[Counter[str], Counter[str], dict[str, Decimal]]:
    """Return the ledger's tokens by model and kind, its units, and its USD by model."""
    tokens: Counter[str] = Counter()
    usd: dict[str, Decimal] = {}
    for entry, _, bill, count in ledger.bills():
        model = entry.removeprefix(BATCH)
        parts = (bill.prompt - bill.cached, bill.cached, bill.tool_use, bill.candidates, bill.thoughts)
        for kind, amount in zip(KINDS, parts, strict=True):
            tokens[f"{model} {kind}"] += amount * count
        usd[model] = usd.get(model, Decimal(0)) + (cost_of(entry, bill, count) or 0)
    units: Counter[str] = Counter()
    for (model, unit), amount in ledger.units().items():
        units[f"{model} {unit}"] += amount
        usd[model] = usd.get(model, Decimal(0)) + Decimal(UNIT_PRICES[model, unit]) * amount
    return +tokens, +units, usd


def compare(major: int, calls: int, seed: int) -> dict[str, Any]:
    """Drive one version of the SDK, and return the ledger, obskit's totals and their differences."""
    python = environment(major)
    with FakeGemini() as gemini:
        gemini.switch.set(Faults(status=503, share=0.04))
        command = [str(python), str(HERE / "drive.py"), gemini.url, str(calls), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"google-genai {major}.x: {done.stderr[-2000:]}")
        seen = json.loads(done.stdout.splitlines()[-1])
        tokens, units, usd = billed(gemini.ledger)
        made, refused = gemini.ledger.calls(), gemini.ledger.failures()
    ours = {model: Decimal(cost) for model, cost in seen["usd"].items()}
    names = sorted({*tokens, *seen["tokens"], *units, *seen["units"]})
    counted = {name: round(amount, 9) for name, amount in {**seen["tokens"], **seen["units"]}.items()}
    rows = [(name, (tokens + units)[name], counted.get(name, 0)) for name in names]
    return {
        "sdk": seen["sdk"],
        "calls": made,
        "refused": refused,
        "retries": seen["retries"],
        "incomplete": seen["incomplete"],
        "unpriced_calls": seen["unpriced_calls"],
        "kinds": seen["kinds"],
        "ledger": {name: amount for name, amount, _ in rows},
        "obskit": {name: amount for name, _, amount in rows},
        "ledger_usd": {model: str(cost) for model, cost in sorted(usd.items())},
        "obskit_usd": {model: str(ours.get(model, Decimal(0))) for model in sorted(usd)},
        "metric_usd": seen["metric_usd"],
        "difference": sum(abs(amount - counted) for _, amount, counted in rows),
        "difference_usd": str(sum((abs(cost - ours.get(model, 0)) for model, cost in usd.items()), Decimal(0))),
    }


def show(result: dict[str, Any]) -> None:
    """Print the ledger beside obskit's totals."""
    print(
        f"\ngoogle-genai {result['sdk']}: {result['calls']} billed calls, {result['refused']} refused attempts, "
        f"{result['retries']:.0f} retries, {result['incomplete']} incomplete, {result['unpriced_calls']:.0f} unpriced"
    )
    print(f"  {'model and kind':<44}{'ledger':>16}{'obskit':>16}{'difference':>12}")
    for name, amount in result["ledger"].items():
        counted = result["obskit"][name]
        print(f"  {name:<44}{amount:>16,}{counted:>16,.0f}{counted - amount:>12,g}")
    for model, cost in result["ledger_usd"].items():
        ours = result["obskit_usd"][model]
        print(f"  {model + ' USD':<44}{cost:>16}{ours:>16}{Decimal(ours) - Decimal(cost)!s:>12}")
    print(f"  difference: {result['difference']} tokens and units, {result['difference_usd']} USD")


def main() -> None:
    """Print the comparison for each version; exit 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help="calls to draw for each version of the SDK")
    parser.add_argument("--seed", type=int, default=4, help="seed of the mix")
    parser.add_argument("--majors", type=int, nargs="+", default=[1, 2, 3], help="major versions of google-genai")
    parser.add_argument("--json", action="store_true", help="print one JSON line last")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # streams that break off are meant to
    results = []
    for major in options.majors:
        results.append(compare(major, options.calls, options.seed))
        show(results[-1])
    is_equal = all(not row["difference"] and not Decimal(row["difference_usd"]) for row in results)
    if options.json:
        print(json.dumps({"calls": sum(row["calls"] for row in results), "is_equal": is_equal, "versions": results}))
    if not is_equal:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
