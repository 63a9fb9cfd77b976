"""Our AI calls on one page."""

from __future__ import annotations

from alerts.llm import cost, rate_limit, tokens
from obskit.dashboards import llm

ai_calls = llm(cost=cost, rate_limit=rate_limit, policies=[tokens])
