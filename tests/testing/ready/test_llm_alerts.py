"""The alerts of AI calls: tokens, cost and rate limits."""

from __future__ import annotations

from obskit.alerts import daily_cost, gemini_rate_limit, token_spike
from obskit.catalog import AI_COST, AI_OPERATION_DURATION, AI_TOKENS
from obskit.testing import AlertTest

TOKENS = token_spike(channels=["slack"])
LIMIT = gemini_rate_limit(channels=["pagerduty"])
COST = daily_cost(channels=["slack"])


def tokens(says, counts):
    """What an hour's worth of tokens adds up to, from hour to hour."""
    where = {"obskit.token.kind": "input"}
    return AlertTest(TOKENS, says, every="1h").metric(AI_TOKENS, counts, where=where, service="chat")


def refused(says, counts):
    where = {"error.type": "429"}
    return AlertTest(LIMIT, says).histogram(AI_OPERATION_DURATION, {0.1: counts}, where=where, service="chat")


def spent(says, dollars):
    return AlertTest(COST, says, every="1h").metric(AI_COST, dollars, service="chat")


twice_the_tokens = (
    tokens("a day of twice the tokens after an even week", "0+1000x192 194000+2000x48")
    .is_open_at("217h")
    .is_silent_at("190h", "200h")
    .notifies("slack", times=1)
)
a_third_more = tokens("a day of 130 % after an even week", "0+1000x192 193300+1300x48").stays_silent()
young_service = tokens("the second and third day of a young service", "0+1000x96").stays_silent()
no_token_since = tokens("no token since two days", "0+1000x192 192000x48").stays_silent()

storm = (
    refused("25 refused calls in a minute, the first of their life", "_x20 12 25x20")
    .is_open("10m30s", until="12m")
    .notifies("pagerduty", times=1)
)
short_storm = refused("25 refused calls that are all there is, in one export", "_x20 25x20").is_open("10m", until="12m")
five_a_minute = refused("five refused calls a minute, for long", "0+2.5x60").stays_silent()
long_ago = refused("hundreds that were refused an hour and more ago", "0+50x10 500x180").is_silent_at(
    "30m", "70m", "90m"
)

four_an_hour = (
    spent("four dollars an hour", "0+4x60")
    .is_open_at("24h", "40h")
    .is_silent_at("12h", "18h")
    .notifies("slack", times=1)
)
three_an_hour = spent("three dollars an hour", "0+3x60").stays_silent()
much_before = spent("a long-lived process that spent much in the days before", "0+10x48 480+1x48").is_silent_at(
    "80h", "90h"
)

short_lived = AlertTest(COST, "processes of one minute each that spend ten dollars in it").is_open_at("10h")
for _number in range(9):
    short_lived = short_lived.metric(AI_COST, f"_x{121 + _number * 120} 10x2", service="chat", instance=str(_number))
short_lived = short_lived.is_silent_at("4h", "34h")
