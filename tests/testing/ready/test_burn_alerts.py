"""The alerts of error budgets over the request metric itself: each rate above its limit, and below it."""

from __future__ import annotations

from obskit.catalog import HTTP_SERVER_DURATION
from obskit.resources import availability_burn_rates, latency_burn_rates
from obskit.testing import AlertTest

AVAILABLE = dict(zip(("1h", "6h", "1d", "3d"), availability_burn_rates(page=["pager"], ticket=["chat"]), strict=True))
FAST = dict(zip(("1h", "6h", "1d", "3d"), latency_burn_rates(page=["pager"], ticket=["chat"]), strict=True))


def failing(window, per_mille):
    """A thousand requests a step, some of which fail, for eight hours; the window may be longer than that."""
    every = "1m" if window == "1h" else "5m"
    test = AlertTest(AVAILABLE[window], f"{per_mille / 10:g} % fail", every=every)
    for status, count in (("200", 1000 - per_mille), ("503", per_mille)):
        where = {"http.response.status_code": status}
        counts = f"0+{count}x{480 if window == '1h' else 96}"
        test = test.histogram(HTTP_SERVER_DURATION, {0.1: counts}, where=where, service="chat")
    return test


def slow(window, percent):
    every, steps = ("1m", 480) if window == "1h" else ("5m", 96)
    test = AlertTest(FAST[window], f"{percent} % take longer than half a second", every=every)
    counts = {0.3: f"0+{100 - percent}x{steps}", 0.7: f"0+{percent}x{steps}"}
    return test.histogram(HTTP_SERVER_DURATION, counts, service="chat")


above = {
    "fail 1h": failing("1h", 20).is_open_at("2h", "7h", service="chat").notifies("pager", times=1),
    "fail 6h": failing("6h", 10).is_open_at("2h", "7h", service="chat").notifies("pager", times=1),
    "fail 1d": failing("1d", 5).is_open_at("3h", "7h", service="chat").notifies("chat", times=1),
    "fail 3d": failing("3d", 2).is_open_at("7h", service="chat").notifies("chat", times=1),
    "slow 1h": slow("1h", 80).is_open_at("2h", "7h", service="chat"),
    "slow 6h": slow("6h", 40).is_open_at("2h", "7h", service="chat"),
    "slow 1d": slow("1d", 20).is_open_at("3h", "7h", service="chat"),
    "slow 3d": slow("3d", 8).is_open_at("7h", service="chat"),
}
below = {
    "fail 1h": failing("1h", 12).stays_silent(),
    "fail 6h": failing("6h", 5).stays_silent(),
    "fail 1d": failing("1d", 2).stays_silent(),
    "fail 3d": AlertTest(AVAILABLE["3d"], "nothing fails", every="5m")
    .histogram(HTTP_SERVER_DURATION, {0.1: "0+1000x96"}, where={"http.response.status_code": "200"}, service="chat")
    .stays_silent(),
    "slow 1h": slow("1h", 60).stays_silent(),
    "slow 6h": slow("6h", 25).stays_silent(),
    "slow 1d": slow("1d", 12).stays_silent(),
    "slow 3d": slow("3d", 4).stays_silent(),
}
