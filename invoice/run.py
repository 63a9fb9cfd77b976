"""The ledger of a fake Gemini beside what obskit and others counted of the same calls: `make invoice`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import environments
import tables
from rules import BATCH, UNIT_PRICES, cost_of, units_of

from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.demo.ledger import Ledger

HERE: Final = Path(__file__).resolve().parent
PAGE: Final = environments.ROOT / "docs" / "ai-usage.md"
KINDS: Final = ("input", "cached", "tool_use", "output", "thinking")
REFUSED: Final = Faults(status=503, share=0.04)
TRIAL: Final = 60
"""Calls that show whether a peer records anything of a version."""


def billed(ledger: Ledger) -> tuple[Counter[str], dict[str, Decimal], dict[str, Decimal]]:
    """Return the ledger's tokens by model and kind, its units, and its USD by model."""
    tokens: Counter[str] = Counter()
    usd: dict[str, Decimal] = {}
    for entry, _, bill, count in ledger.bills():
        model = entry.removeprefix(BATCH)
        parts = (bill.prompt - bill.cached, bill.cached, bill.tool_use, bill.candidates, bill.thoughts)
        for kind, amount in zip(KINDS, parts, strict=True):
            tokens[f"{model} {kind}"] += amount * count
        usd[model] = usd.get(model, Decimal(0)) + (cost_of(entry, bill, count) or 0)
    units: dict[str, Decimal] = {}
    for (model, unit), amount in units_of(ledger.units()).items():
        units[f"{model} {unit}"] = amount
        usd[model] = usd.get(model, Decimal(0)) + Decimal(UNIT_PRICES[model, unit]) * amount
    return +tokens, units, usd


def in_short(ledger: Ledger) -> dict[str, Any]:
    """Return the ledger in the terms of the semantic conventions: cached is a part of input, thinking of output."""
    bill, (_, _, usd) = ledger.total(), billed(ledger)
    return {
        "calls": ledger.calls(),
        "input": bill.billed_input,
        "cached": bill.cached,
        "output": bill.billed_output,
        "thinking": bill.thoughts,
        "usd": str(sum(usd.values(), Decimal(0))),
    }


def _drive(python: Path, script: str, *arguments: str) -> dict[str, Any]:
    command = [str(python), str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(python: Path, calls: int, seed: int) -> dict[str, Any]:
    """Drive one version of the SDK, and return the ledger, obskit's totals and their differences.

    Raises:
        RuntimeError: the calls ended with an error.
    """
    with FakeGemini() as gemini:
        gemini.switch.set(REFUSED)
        seen = _drive(python, "drive.py", gemini.url, str(calls), str(seed))
        tokens, units, usd = billed(gemini.ledger)
        short, refused = in_short(gemini.ledger), gemini.ledger.failures()
    ours = {model: Decimal(cost) for model, cost in seen["usd"].items()}
    amounts: dict[str, Any] = {**tokens, **{name: float(amount) for name, amount in units.items()}}
    counted = {name: round(amount, 9) for name, amount in {**seen["tokens"], **seen["units"]}.items()}
    names, models = sorted({*amounts, *counted}), sorted({*usd, *ours})
    own: Counter[str] = Counter()
    for name, amount in seen["tokens"].items():
        own[name.rpartition(" ")[2]] += amount
    return {
        "sdk": seen["sdk"],
        "calls": short["calls"],
        "refused": refused,
        "retries": seen["retries"],
        "incomplete": seen["incomplete"],
        "unpriced_calls": seen["unpriced_calls"],
        "kinds": seen["kinds"],
        "ledger": {name: amounts.get(name, 0) for name in names},
        "obskit": {name: counted.get(name, 0) for name in names},
        "ledger_usd": {model: str(usd.get(model, Decimal(0))) for model in models},
        "obskit_usd": {model: str(ours.get(model, Decimal(0))) for model in models},
        "metric_usd": seen["metric_usd"],
        "difference": sum(abs(amounts.get(name, 0) - counted.get(name, 0)) for name in names),
        "difference_usd": str(
            sum((abs(usd.get(model, Decimal(0)) - ours.get(model, Decimal(0))) for model in models), Decimal(0))
        ),
        "in_short": {
            "ledger": short,
            "obskit": {
                "calls": seen["spans"],
                "input": own["input"] + own["cached"] + own["tool_use"],
                "cached": own["cached"],
                "output": own["output"] + own["thinking"],
                "thinking": own["thinking"],
                "usd": str(sum(ours.values(), Decimal(0))),
            },
        },
    }


def _counted(python: Path, peer: str, calls: int, seed: int) -> dict[str, Any]:
    with FakeGemini() as gemini:
        gemini.switch.set(REFUSED)
        seen = _drive(python, "peers.py", peer, gemini.url, str(calls), str(seed))
        return {**seen, "ledger": in_short(gemini.ledger)}


def _records(entry: dict[str, Any]) -> bool:
    return bool(entry["spans"]["calls"] or entry["metrics"])


def beside(peer: str, calls: int, seed: int, majors: list[int]) -> list[dict[str, Any]]:
    """Let another instrumentation count the same calls: with the newest SDK, else with the newest that it records.

    Returns:
        One entry for each version that was tried: `spans` and `metrics` of the peer, and the `ledger`; or `failed`.
    """
    found: list[dict[str, Any]] = []
    for major in sorted(majors, reverse=True):
        entry: dict[str, Any] = {"peer": peer, "sdk": f"{major}.x"}
        found.append(entry)
        try:
            python = environments.of_peer(peer, major)
            entry |= _counted(python, peer, min(calls, TRIAL), seed)
            if not _records(entry):
                continue
            entry |= _counted(python, peer, calls, seed)
        except RuntimeError as error:
            entry["failed"] = str(error)
            continue
        break
    return found


def main() -> None:
    """Print the comparison for each version; exit 1 where obskit's totals differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help="calls to draw for each version of the SDK")
    parser.add_argument("--seed", type=int, default=4, help="seed of the mix")
    parser.add_argument("--majors", type=int, nargs="+", default=[*environments.MAJORS], help="of google-genai")
    parser.add_argument(
        "--peers", nargs="*", choices=list(environments.PEER_PACKAGES), default=list(environments.PEER_PACKAGES)
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--json", action="store_true", help="print one JSON line last")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # streams that break off are meant to
    results = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ours = [
            pool.submit(compare, environments.of_sdk(major), options.calls, options.seed) for major in options.majors
        ]
        theirs = [pool.submit(beside, peer, options.calls, options.seed, options.majors) for peer in options.peers]
        for each in ours:
            results.append(each.result())
            tables.show(results[-1])
        peers = [entry for each in theirs for entry in each.result()]
    print("\n" + "\n".join(tables.beside(results, peers)))
    if options.write:
        tables.write(PAGE, results, peers, calls=options.calls)
        print(f"written: {PAGE.relative_to(environments.ROOT)}")
    is_equal = all(not row["difference"] and not Decimal(row["difference_usd"]) for row in results)
    if options.json:
        print(json.dumps(tables.as_json(results, peers, is_equal=is_equal)))
    if not is_equal:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
