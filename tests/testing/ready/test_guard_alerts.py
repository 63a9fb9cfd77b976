"""The alerts of the guard of AI calls."""

from __future__ import annotations

from obskit.alerts import ai_calls_wait, ai_circuit_open
from obskit.catalog import AI_GUARD_CIRCUIT, AI_GUARD_REFUSED, AI_GUARD_WAIT
from obskit.testing import AlertTest

CIRCUIT = ai_circuit_open(channels=["slack"])
WAITS = ai_calls_wait(channels=["slack"])


def circuit(says, states, model="gemini-2.5-pro"):
    """0 is closed, 1 half-open, 2 open."""
    where = {"gen_ai.request.model": model}
    return AlertTest(CIRCUIT, says).metric(AI_GUARD_CIRCUIT, states, where=where, service="chat")


def waits(says, *, short, long, priority="interactive"):
    where = {"obskit.priority": priority}
    return AlertTest(WAITS, says).histogram(AI_GUARD_WAIT, {1: short, 20: long}, where=where, service="chat")


def turned_away(test, counts, reason="circuit_open", model="gemini-2.5-pro"):
    where = {"gen_ai.request.model": model, "obskit.reason": reason}
    return test.metric(AI_GUARD_REFUSED, counts, where=where, service="chat")


circuit_opens = (
    turned_away(circuit("the circuit of one model opens for five minutes", "0x9 2x9 1 0x20"), "_x10 3+3x9 30x20")
    .metric(AI_GUARD_CIRCUIT, "0x40", where={"gen_ai.request.model": "gemini-2.5-flash"}, service="chat")
    .is_open("6m", until="10m30s")
    .notifies("slack", times=1)
)
circuit_blinks = turned_away(
    circuit("it opens for half a minute, and the first probe succeeds", "0x9 2 0x20"), "_x10 3x20"
).stays_silent()
circuit_forgotten = circuit("open for long, and nobody asks for the model any more", "0x9 2x40").stays_silent()
refused_for_another_reason = turned_away(
    circuit("calls are refused for their budget, beside an open circuit that nobody needs", "2x40"), "0+3x40", "budget"
).stays_silent()

refused_with_a_closed_circuit = turned_away(
    circuit("calls are refused for their deadline, and the circuit is closed", "0x40"), "0+3x40", "deadline"
).stays_silent()


long_waits = (
    waits("one call in ten waits for 20 s, for a quarter of an hour", short="0+9x30 270x20", long="0+1x30 30x20")
    .is_open_at("10m", "14m")
    .notifies("slack", times=1)
)
short_waits = waits("many wait, but only a second", short="0+10x40", long="0x40").stays_silent()
nobody_waits = waits("no call has waited for long", short="50x40", long="50x40").stays_silent()
background_waits = waits(
    "background work waits for long, as it should", short="0+1x40", long="0+9x40", priority="background"
).stays_silent()
