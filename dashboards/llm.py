"""Our AI calls: what they use and cost, how the guard keeps them going, and who has how much left."""

from __future__ import annotations

from alerts.llm import budget, circuit, cost, rate_limit, tokens
from obskit.dashboards import budgets, llm, llm_guard

ai_calls = llm(cost=cost, rate_limit=rate_limit, policies=[tokens])
guard = llm_guard(policies=[circuit, rate_limit])
ai_budgets = budgets(policies=[budget])
