"""What was compared, as text, as Markdown for the documentation, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

__all__ = ["as_json", "beside", "show", "write"]

Result = Mapping[str, Any]
_NAMES: Final = {
    "opentelemetry": "OpenTelemetry",
    "logfire": "Logfire",
    "openlit": "OpenLIT",
    "openllmetry": "OpenLLMetry",
}
_COLUMNS: Final = ("calls", "input", "cached", "output", "thinking", "usd")
_BEGIN, _END = "<!-- written by `make invoice ARGS=--write` -->", "<!-- end -->"


def show(result: Result) -> None:
    """Print the ledger beside obskit's totals, line by line."""
    print(
        f"\ngoogle-genai {result['sdk']}: {result['calls']} billed calls, {result['refused']} refused attempts, "
        f"{result['retries']:.0f} retries, {result['incomplete']} incomplete, {result['unpriced_calls']:.0f} unpriced"
    )
    print(f"  {'model and kind':<44}{'ledger':>16}{'obskit':>16}{'difference':>12}")
    for name, amount in result["ledger"].items():
        counted = result["obskit"][name]
        print(f"  {name:<44}{amount:>16,.0f}{counted:>16,.0f}{counted - amount:>12,g}")
    for model, cost in result["ledger_usd"].items():
        ours = result["obskit_usd"][model]
        print(f"  {model + ' USD':<44}{cost:>16}{ours:>16}{Decimal(ours) - Decimal(cost)!s:>12}")
    print(f"  difference: {result['difference']:g} tokens and units, {result['difference_usd']} USD")


def beside(results: Sequence[Result], peers: Sequence[Result]) -> list[str]:
    """Return a Markdown table: the ledger, obskit and the others, by version of google-genai."""
    lines = [
        "| google-genai | counted by | calls | input | of it cached | output | of it thinking | USD |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    ledgers = {peer["sdk"]: peer["ledger"] for peer in peers if "ledger" in peer}
    ledgers |= {each["sdk"]: each["in_short"]["ledger"] for each in results}
    for sdk, ledger in sorted(ledgers.items(), key=lambda each: _number(each[0]), reverse=True):
        lines.append(_row(sdk, "**the ledger**", [_plain(column, ledger[column]) for column in _COLUMNS]))
        ours = [each["in_short"]["obskit"] for each in results if each["sdk"] == sdk]
        lines += [_row(sdk, "obskit", _cells(counted, ledger)) for counted in ours]
        theirs = [peer for peer in peers if peer["sdk"] == sdk and "ledger" in peer]
        lines += [_row(sdk, _called(peer), _cells(best(peer), ledger)) for peer in theirs]
    lines += [_row(peer["sdk"], _called(peer), ["not run"] * len(_COLUMNS)) for peer in peers if "failed" in peer]
    notes = [note for peer in peers if (note := _note(peer))]
    return [*lines, "", *notes, ""] if notes else [*lines, ""]


def best(peer: Result) -> dict[str, Any]:
    """Return what a peer counted, kind by kind in its spans or in its metrics, whichever is nearer to the ledger."""
    found: dict[str, Any] = {}
    for column in _COLUMNS:
        told = [each[column] for each in (peer["spans"], peer["metrics"]) if column in each]
        if told:
            wanted = float(peer["ledger"][column])
            found[column] = min(told, key=lambda amount: abs(float(amount) - wanted))
    found["calls"] = peer["spans"].get("calls") or peer["metrics"].get("calls", 0)
    return found


def as_json(results: Sequence[Result], peers: Sequence[Result], *, is_equal: bool) -> dict[str, Any]:
    """Return everything, with the sums over all versions first."""
    last = results[-1]
    return {
        "calls": sum(each["calls"] for each in results),
        "is_equal": is_equal,
        "difference": sum(each["difference"] for each in results),
        "difference_usd": str(sum((Decimal(each["difference_usd"]) for each in results), Decimal(0))),
        "ledger": last["in_short"]["ledger"],
        "obskit": last["in_short"]["obskit"],
        "peers": [
            {**peer, "totals": best(peer), "difference": _differences(best(peer), peer["ledger"])}
            if "ledger" in peer
            else dict(peer)
            for peer in peers
        ],
        "versions": list(results),
    }


def write(page: Path, results: Sequence[Result], peers: Sequence[Result], *, calls: int) -> None:
    """Put the table between the two marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    text = (
        f"The same {calls:,} random calls, each tool in an environment of its own. Calls are the requests that were\n"
        "billed, and for the tools their spans of calls; a failed one has one too. Tokens and USD are read in spans\n"
        "and in metrics, and the figure nearer to the ledger is shown, `=` where it is the same. Where a tool keeps\n"
        "thinking apart from output, its output is both together. USD is empty where its telemetry has none; that of\n"
        "the ledger has images and videos in it. OpenLIT is given the right prices, as it would fetch its own."
    )
    table = "\n".join(beside(results, peers)).rstrip()
    page.write_text(f"{before}{_BEGIN}\n{text}\n\n{table}\n{_END}{after}", encoding="utf-8")


# --------------------------------------------------------------------------- cells


def _row(sdk: str, name: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join((sdk, name, *cells))} |"


def _cells(counted: Result, ledger: Result) -> list[str]:
    return [
        _plain(column, counted[column], of=ledger[column]) if counted.get(column) is not None else ""
        for column in _COLUMNS
    ]


def _plain(column: str, amount: Any, of: Any = None) -> str:
    shown = f"{Decimal(str(amount)):,.6f}" if column == "usd" else f"{float(amount):,.0f}"
    if of is None or column == "calls":
        return shown
    if Decimal(str(amount)) == Decimal(str(of)):
        return f"{shown} (=)"
    share = 100 * float(amount) / float(of) if float(of) else 0.0
    return f"{shown} ({share:.1f} %)"


def _called(peer: Result) -> str:
    return f"{_NAMES[peer['peer']]} {peer.get('version', '')}".strip()


def _note(peer: Result) -> str:
    name = f"{_called(peer)} with google-genai {peer['sdk']}"
    if "failed" in peer:
        return f"- {name}: {peer['failed']}"
    said = [f"it says: {text}" for text in peer["warned"]]
    broken = [f"{count} calls raised {text}" for text, count in peer["broken"].items()]
    nothing = [] if peer["spans"]["calls"] or peer["metrics"] else ["it records nothing"]
    return f"- {name}: {'; '.join((*nothing, *said, *broken))}" if nothing or said or broken else ""


def _differences(counted: Result, ledger: Result) -> dict[str, float]:
    return {
        column: float(counted[column]) - float(ledger[column])
        for column in _COLUMNS
        if column != "calls" and counted.get(column) is not None
    }


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
