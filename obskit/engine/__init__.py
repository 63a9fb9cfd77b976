"""Evaluate PromQL and alert policies: pure, on whatever clock, without any input or output."""
