"""The alerts of what callers feel: when they fire, and the nearest cases that are harmless. 30 s are two exports."""

from __future__ import annotations

from obskit.alerts import error_spike, latency_p95
from obskit.catalog import HTTP_SERVER_DURATION
from obskit.testing import AlertTest

LATENCY = latency_p95(channels=["pagerduty"])
ERRORS = error_spike(channels=["slack", "pagerduty"])


def latency(says, *, fast, slow):
    """Fast requests take 0.3 s, slow ones 4 s; both as what a counter has reached."""
    return AlertTest(LATENCY, says).histogram(HTTP_SERVER_DURATION, {0.3: fast, 4: slow}, service="chat")


def errors(says, *, fine, failed, status="503", service="chat"):
    test = AlertTest(ERRORS, says)
    for code, counts in (("200", fine), (status, failed)):
        test = requests(test, code, counts, service)
    return test


def requests(test, status, counts, service="chat"):
    where = {"http.response.status_code": status}
    return test.histogram(HTTP_SERVER_DURATION, {0.3: counts}, where=where, service=service)


slow_for_eight_minutes = (
    latency("one request in ten is slow for 8 minutes", fast="0+60x20 1254+54x16 2124+60x20", slow="0x20 6+6x16 102x20")
    .is_open("16m30s", until="20m", service="chat")
    .notifies("pagerduty", times=1)
)
slow_for_two_minutes = latency(
    "a slow spell of two minutes", fast="0+60x20 1254+54x4 1476+60x20", slow="0x20 6+6x4 30x20"
).stays_silent()
three_in_a_hundred_slow = latency(
    "three in a hundred are slow for long, which p95 does not see", fast="0+58x40", slow="0+1.7x40"
).stays_silent()
no_requests = latency("no traffic at all", fast="80x40", slow="20x40").stays_silent()

one_in_ten_fails = (
    errors("one request in ten fails, from the first of the errors on", fine="0+54x60", failed="_x20 6+6x20")
    .is_open("12m30s", until="21m30s", service="chat")
    .notifies("slack", times=1)
    .notifies("pagerduty", times=1)
)
burst_of_errors = errors("a burst of errors that is over at once", fine="0+60x60", failed="_x20 100x40").stays_silent()
three_in_a_hundred_fail = errors("three in a hundred fail for long", fine="0+97x60", failed="0+3x60").stays_silent()
quiet_night = errors("the one failed request of a quiet night", fine="5x60", failed="_x20 1x40").stays_silent()
nothing_fails = requests(AlertTest(ERRORS, "requests, and none of them fails"), "200", "0+60x60").stays_silent()
no_traffic = errors("no traffic", fine="70x60", failed="9x60").stays_silent()
callers_errors = errors(
    "four hundreds are the callers' errors", fine="0+10x60", failed="0+90x60", status="404"
).stays_silent()
another_service_fails = (
    requests(
        errors("another service fails: only that one fires", fine="0+60x60", failed="0x60"), "200", "0+60x60", "shop"
    )
    .histogram(HTTP_SERVER_DURATION, {0.3: "0+30x60"}, where={"http.response.status_code": "500"}, service="shop")
    .is_open("2m30s", service="shop")
    .is_silent_at("10m", "20m", service="chat")
)
