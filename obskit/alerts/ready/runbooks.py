"""The runbooks of the ready-made policies: what it means, what to look at first, how to silence it."""

from __future__ import annotations

from typing import Final

from obskit.alerts.documentation import Documentation

__all__ = ["runbook"]

_SILENCE: Final = (
    "**To silence it**\n"
    "Snooze the policy in the console under *Alerting → Snoozes* while you work on it. Do not disable it: sync reports "
    "that as drift, and nobody remembers to switch it on again. To change the threshold for good, change it in the "
    "alert's file.\n"
)


def runbook(meaning: str, *looks: str) -> Documentation:
    """Return documentation in the form that all ready-made policies share.

    Args:
        meaning: what has happened and who feels it.
        looks: the things to look at, the most telling first.
    """
    steps = "\n".join(f"{number}. {look}" for number, look in enumerate(looks, 1))
    return Documentation(
        content=f"**What it means**\n{meaning}\n\n**First things to look at**\n{steps}\n\n{_SILENCE}",
    )
