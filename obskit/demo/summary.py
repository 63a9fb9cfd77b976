"""What happened, and whether it is what the script implies: figures of independent sources, side by side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.demo import protections
from obskit.demo.checks import Check
from obskit.demo.ledger import Ledger
from obskit.demo.readings import BackendReader
from obskit.demo.receiver import WebhookReceiver
from obskit.demo.script import EXPECTED
from obskit.demo.services import Services
from obskit.demo.traffic import CHATBOT, SHOP, Traffic

__all__ = ["Defined", "Sources", "Summary", "incidents_by_policy", "settle"]

_LABEL: Final = "obskit-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """How many definitions the folders hold.

    Attributes:
        dashboards: in ``dashboards/``.
        policies: in ``alerts/``.
    """

    dashboards: int
    policies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that knows a part of what happened.

    Attributes:
        traffic: the sender of the requests.
        ledger: what Gemini billed.
        receiver: what the webhook was sent.
        services: their processes and their output.
        reader: the backend.
        defined: what is in the folders.
    """

    traffic: Traffic
    ledger: Ledger
    receiver: WebhookReceiver
    services: Services
    reader: BackendReader
    defined: Defined


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one demo.

    Attributes:
        figures: for the JSON line, in its order.
        models: tokens and cost by model.
        groups: groups of errors.
        checks: every comparison.
    """

    figures: Mapping[str, Any]
    models: Mapping[str, Mapping[str, float]]
    groups: Sequence[Mapping[str, Any]]
    checks: Sequence[Check]

    @property
    def mismatches(self) -> list[Check]:
        """The comparisons that failed."""
        return [check for check in self.checks if not check.is_equal]


def settle(sources: Sources, *, timeout_s: float, tick: Callable[[], None]) -> Summary:
    """Return the summary as soon as it is what the script implies, at the latest after that time.

    Telemetry is on its way for a moment after the last request, and an incident closes at an evaluation.

    Args:
        sources: what to read.
        timeout_s: longest wait, in seconds.
        tick: is called between two looks.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        summary = _look(sources)
        if not summary.mismatches or time.monotonic() > deadline:
            return summary
        tick()
        time.sleep(0.5)


def _look(sources: Sources) -> Summary:
    reader, ledger = sources.reader, sources.ledger
    stats, tokens = reader.stats(), reader.tokens_by_kind()
    incidents = incidents_by_policy(reader)
    losses = [
        Check(what="telemetry that the services count as lost", expected={}, found=reader.lost()),
        Check(what="lines that did not reach the backend", expected=0, found=sources.services.lost_lines),
        Check(what="requests without an answer", expected=[], found=sources.traffic.failures()),
    ]
    lost = sum(reader.lost().values()) + sources.services.lost_lines + len(sources.traffic.failures())
    checks = [
        *_requests(sources, stats),
        *_ai(sources, tokens),
        *protections.checks(sources.traffic, ledger, reader),
        *_errors(sources, stats),
        *_definitions(sources, stats, incidents),
        *losses,
    ]
    inputs = sum(tokens.get(kind, 0) for kind in ("input", "cached", "cache_write", "tool_use"))
    outputs = sum(tokens.get(kind, 0) for kind in ("output", "thinking"))
    figures = {
        "requests": sum(_received(sources).values()),
        "server_spans": stats["server_spans"],
        "spans": stats["spans"],
        "traces": stats["traces"],
        "cross_service_traces": stats["cross_service_traces"],
        "access_lines": stats["access_entries"],
        "log_lines": stats["log_entries"],
        "histogram_count": sum(reader.requests_by_service().values()),
        "ai_calls": reader.ai_calls(),
        "input_tokens": inputs,
        "output_tokens": outputs,
        "billed_tokens": ledger.total().billed_input + ledger.total().billed_output,
        "cost_usd": round(reader.cost_usd(), 6),
        **protections.figures(reader),
        "error_groups": stats["error_groups"],
        "dashboards": stats["dashboards"],
        "policies": stats["policies"],
        "incidents": [
            {"policy": policy, "opened": opened, "closed": closed} for policy, (opened, closed) in incidents.items()
        ],
        "notifications": len(sources.receiver.payloads),
        "lost": lost,
    }
    return Summary(figures=figures, models=reader.models(), groups=reader.error_groups(), checks=checks)


# --------------------------------------------------------------------------- the comparisons


def _received(sources: Sources) -> dict[str, int]:
    """Return the requests that each service must have received: ours, and the chatbot's to the shop.

    The chatbot asks the shop once for every function call that Gemini's answers have asked for.
    """
    ours = {service: sources.traffic.requests(service) for service in (CHATBOT, SHOP)}
    return {**ours, SHOP: ours[SHOP] + sources.ledger.function_calls}


def _requests(sources: Sources, stats: Mapping[str, Any]) -> list[Check]:
    received, counted = _received(sources), sources.reader.requests_by_service()
    calls = sources.ledger.function_calls
    shop_port = sources.services.addresses[SHOP][1]
    views = {
        "in the histogram": counted,
        "as server spans": stats["server_spans_by_service"],
        "as access lines": stats["access_entries_by_service"],
    }
    return [
        *(
            Check(what=f"requests of {service}, {view}", expected=count, found=found.get(service, 0))
            for service, count in received.items()
            for view, found in views.items()
        ),
        Check(what="requests, as server spans", expected=sum(received.values()), found=stats["server_spans"]),
        Check(
            what="chatbot's requests to the shop, at its client",
            expected=calls,
            found=sources.reader.client_requests_to(shop_port),
        ),
        Check(what="traces that cross both services", expected=calls, found=stats["cross_service_traces"]),
        Check(
            what="lines written, as log entries",
            expected=sum(sources.services.lines.values()),
            found=stats["log_entries"],
        ),
    ]


def _ai(sources: Sources, tokens: Mapping[str, int]) -> list[Check]:
    ledger, reader = sources.ledger, sources.reader
    billed = ledger.total()
    kinds = {
        "input": billed.prompt - billed.cached,
        "cached": billed.cached,
        "tool_use": billed.tool_use,
        "output": billed.candidates,
        "thinking": billed.thoughts,
    }
    return [
        *(
            Check(what=f"{kind} tokens, as billed", expected=count, found=tokens.get(kind, 0))
            for kind, count in kinds.items()
        ),
        Check(what="cost in USD, by the bill", expected=ledger_cost_usd(ledger), found=reader.cost_usd()),
        Check(what="AI calls without a price", expected=0, found=reader.unpriced_calls()),
        Check(
            what="AI calls, with those refused for their budget",
            expected=ledger.calls() + ledger.failures() + sources.traffic.answers(CHATBOT, status=429),
            found=reader.ai_calls(),
        ),
        Check(what="AI calls refused with 429", expected=ledger.failures(429), found=reader.ai_calls("429")),
    ]


def _errors(sources: Sources, stats: Mapping[str, Any]) -> list[Check]:
    crashed = sources.traffic.answers(SHOP, status=500) + sources.traffic.answers(CHATBOT, status=500)
    return [
        Check(what="crashes, as error events", expected=crashed, found=stats["error_events"]),
        Check(what="groups of errors", expected=1, found=stats["error_groups"]),
    ]


def _definitions(sources: Sources, stats: Mapping[str, Any], incidents: Mapping[str, tuple[int, int]]) -> list[Check]:
    moves = sum(opened + closed for opened, closed in incidents.values())
    delivered = [found for found in sources.reader.notifications() if found["delivery"] == "delivered"]
    return [
        Check(what="dashboards", expected=sources.defined.dashboards, found=stats["dashboards"]),
        Check(what="alert policies", expected=sources.defined.policies, found=stats["policies"]),
        *(
            Check(
                what=f"incidents of {policy}, opened and closed",
                expected=(expected.opened, expected.closed),
                found=incidents.get(policy, (0, 0)),
            )
            for policy, expected in EXPECTED.items()
        ),
        Check(what="policies with incidents", expected=sorted(EXPECTED), found=sorted(incidents)),
        Check(what="notifications received", expected=moves, found=len(sources.receiver.payloads)),
        Check(what="notifications in the inbox", expected=moves, found=len(delivered)),
    ]


def incidents_by_policy(reader: BackendReader) -> dict[str, tuple[int, int]]:
    """Return opened and closed incidents by the policy's id."""
    ids = {policy["name"]: policy.get("userLabels", {}).get(_LABEL, policy["name"]) for policy in reader.policies()}
    opened, closed = Counter[str](), Counter[str]()
    for incident in reader.incidents():
        policy = ids.get(incident["policy_name"], incident["policy_name"])
        opened[policy] += 1
        closed[policy] += incident["state"] == "closed"
    return {policy: (opened[policy], closed[policy]) for policy in sorted({*ids.values(), *opened})}


def ledger_cost_usd(ledger: Ledger) -> float:
    """Return the price of everything billed, straight from genai-prices, call by call."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - slow to load, and wanted once

    total = 0.0
    for model, _, bill, count in ledger.bills():
        usage = Usage(input_tokens=bill.billed_input, output_tokens=bill.billed_output, cache_read_tokens=bill.cached)
        total += count * float(calc_price(usage, model, provider_id="google").total_price)
    return total
