"""Budgets of AI calls; see `obskit.budgets`, which is the way in for apps."""
