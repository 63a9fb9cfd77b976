"""What keeps the chatbot going: budgets, the guard and its fallback, the health check; and whether the figures fit."""

from __future__ import annotations

from typing import Final

from obskit.catalog import (
    AI_FALLBACKS,
    AI_GUARD_RETRIES,
    AI_GUARD_THROTTLED,
    BUDGET_REJECTIONS,
    JOB_DURATION,
    PROVIDER_STATUS,
    promql_label,
)
from obskit.demo.checks import Check
from obskit.demo.ledger import Ledger
from obskit.demo.readings import BackendReader
from obskit.demo.script import FALLBACK, MODEL
from obskit.demo.traffic import CHATBOT, SHOP, Traffic

__all__ = ["checks", "figures"]

_TIER: Final = promql_label("user.tier")


def figures(reader: BackendReader) -> dict[str, float | None]:
    """Return what the chatbot counted of it."""
    return {
        "budget_rejections": round(reader.one(BUDGET_REJECTIONS)),
        "throttled": round(reader.one(AI_GUARD_THROTTLED)),
        "fallbacks": round(reader.one(AI_FALLBACKS)),
        "provider_status_lowest": reader.lowest(PROVIDER_STATUS),
    }


def checks(traffic: Traffic, ledger: Ledger, reader: BackendReader) -> list[Check]:
    """Return the comparisons of what clients and Gemini saw with what the services counted."""
    return [*_budgets(traffic, reader), *_guard(traffic, ledger, reader), *_health(traffic, reader)]


def _budgets(traffic: Traffic, reader: BackendReader) -> list[Check]:
    refused = traffic.answers(CHATBOT, status=429)
    by_tier = {tier: round(count) for tier, count in reader.total(BUDGET_REJECTIONS, by=_TIER).items() if count}
    return [
        Check(what="calls refused for their budget, as 429 to clients", expected={"guest": refused}, found=by_tier),
        Check(what="429s that say when to come back", expected=refused, found=traffic.told_to_wait()),
        Check(what="whether guests have run out of tokens", expected=True, found=refused > 0),
    ]


def _guard(traffic: Traffic, ledger: Ledger, reader: BackendReader) -> list[Check]:
    refused = ledger.failures(429)
    gone_on = reader.one(AI_GUARD_RETRIES, error__type="429") + reader.one(AI_FALLBACKS, obskit__reason="429")
    answered = sum(count for model, _, _, count in ledger.bills() if model == FALLBACK)
    failed = traffic.answers(CHATBOT, status=503)
    handed = reader.one(AI_FALLBACKS, gen_ai__request__model=MODEL, obskit__fallback=FALLBACK)
    return [
        Check(
            what="calls refused with 429, in the guard", expected=refused, found=round(reader.one(AI_GUARD_THROTTLED))
        ),
        Check(what="calls refused with 429 that were made again", expected=refused, found=round(gone_on)),
        Check(what="calls handed to the other model", expected=answered + failed, found=round(handed)),
        Check(what="whether the other model has answered", expected=True, found=answered > 0),
        Check(what="whether requests failed while all was down", expected=True, found=failed > 0),
    ]


def _health(traffic: Traffic, reader: BackendReader) -> list[Check]:
    runs = traffic.answers(SHOP, path="/restock", status=200)
    return [
        Check(what="provider_status of Gemini, lowest", expected=0, found=reader.lowest(PROVIDER_STATUS)),
        Check(what="provider_status of Gemini, at the end", expected=1, found=round(reader.one(PROVIDER_STATUS))),
        Check(what="runs of the job restock", expected=runs, found=round(reader.one(JOB_DURATION))),
    ]
