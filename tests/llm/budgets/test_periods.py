"""Days and months in every kind of time zone, and limits that make sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from firestore_twin import Timed

from obskit.budgets import TIERS, Budgets, Limits, MemoryStore
from obskit.errors import ConfigError
from obskit.llm.budgets.limits import nanos
from obskit.llm.budgets.periods import windows_at
from obskit.testing import FixedClock

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # until 2019 the clocks changed at midnight, both ways
    "America/Havana",  # midnight comes twice in autumn
    "Africa/Cairo",  # midnight is skipped in spring
    "Australia/Lord_Howe",  # half an hour
    "Asia/Kathmandu",
    "Pacific/Apia",  # skipped 30 December 2011
]


@pytest.mark.parametrize("name", ZONES)
def test_every_instant_lies_in_its_day_and_days_adjoin(name: str) -> None:
    """Over 16 years in steps of 7 hours: each instant in its day and month, no gap and no overlap between them."""
    zone = ZoneInfo(name)
    now_ms = int(datetime(2010, 1, 1, tzinfo=UTC).timestamp()) * 1000
    end_ms = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 1000
    lengths = set()
    while now_ms < end_ms:
        found = windows_at(now_ms, zone)
        assert found.month_start_ms <= found.day_start_ms <= now_ms < found.day_end_ms <= found.month_end_ms
        following = windows_at(found.day_end_ms, zone)
        assert following.day_start_ms == found.day_end_ms
        assert following.month_start_ms in {found.month_start_ms, found.month_end_ms}
        local = datetime.fromtimestamp(found.day_start_ms / 1000, zone)
        assert local.date() == datetime.fromtimestamp(now_ms / 1000, zone).date()
        lengths.add((found.day_end_ms - found.day_start_ms) / 3_600_000)
        now_ms += 7 * 3_600_000
    assert lengths <= {23.0, 23.5, 24.0, 24.5, 25.0}


@pytest.mark.parametrize(
    ("instant", "hours"),
    [("2026-03-29T12:00", 23), ("2026-10-25T12:00", 25), ("2026-07-01T12:00", 24)],
)
def test_a_day_is_as_long_as_its_clocks_make_it(instant: str, hours: int) -> None:
    """In Berlin a budget of a day lasts 23 hours in spring and 25 in autumn."""
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime.fromisoformat(instant).replace(hour=0, tzinfo=zone)
    clock = FixedClock(begin.timestamp())
    budgets = Budgets({"small": Limits(daily_tokens=10)}, store=MemoryStore(clock=clock.time), zone="Europe/Berlin")
    budgets.reserve(user="a", tokens=10).settle()
    clock.advance(hours * 3600 - 1)
    (standing,) = budgets.standings(user="a")
    assert standing.used == 10
    assert standing.resets_at == (begin + timedelta(days=1)).replace(hour=0)
    assert standing.resets_at.isoformat().endswith("+02:00" if hours in {23, 24} else "+01:00")
    clock.advance(1)
    assert budgets.standings(user="a")[0].used == 0


def test_the_shipped_example_is_the_table_that_was_asked_for() -> None:
    """Guest 10,000 a day; free 50,000 and 500,000; premium 200,000 and 3,000,000 with a warning; enterprise none."""
    assert {name: (tier.daily_tokens, tier.monthly_tokens, tier.warn_at) for name, tier in TIERS.items()} == {
        "guest": (10_000, None, None),
        "free": (50_000, 500_000, None),
        "premium": (200_000, 3_000_000, 0.8),
        "enterprise": (None, None, 0.8),
    }
    assert Budgets().standings(user="a", tier="enterprise") == ()
    assert {each.limit for each in Budgets().standings(user="a")} == {10_000}


def test_dollars_round_up_and_binary_fractions_do_not_show() -> None:
    """0.1 is a tenth; what is less than a billionth of a dollar still counts."""
    assert nanos(0.1) == 100_000_000
    assert nanos(0.3) == 300_000_000
    assert nanos(1e-12) == 1
    assert nanos(1.5e-9) == 2


def test_tiers_and_who_they_hold_for(timed: Timed) -> None:
    """A user keeps what was used when the tier changes; unknown tiers have the first one's limits; some have their own."""
    tiers = {"small": Limits(daily_tokens=10), "large": Limits(daily_tokens=100)}
    budgets = Budgets(tiers, users={"vip": Limits(daily_tokens=1000)}, store=timed.store)
    budgets.reserve(user="a", tier="large", tokens=50).settle()
    assert budgets.standings(user="a", tier="large")[0].remaining == 50
    assert budgets.standings(user="a", tier="small")[0].remaining == 0
    assert budgets.standings(user="b", tier="unheard of")[0].limit == 10
    assert budgets.standings(user="vip")[0].limit == 1000
    budgets.reserve(tokens=10)
    assert (budgets.standings()[0].scope, budgets.standings()[0].remaining) == ("anonymous", 0)
    assert (budgets.standings(session="s")[0].scope, budgets.standings(session="s")[0].session) == ("session", "s")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Limits(daily_tokens=-1), r"Limits\(daily_tokens=-1\): a limit is a number, 0 or more"),
        (lambda: Limits(monthly_usd=float("nan"), warn_at=80), r"monthly_usd=nan(.|\n)*warn_at=80"),
        (lambda: Budgets(zone="Europe/Atlantis"), r"there is no time zone of that name"),
        (lambda: Budgets(timeout="soon"), r"timeout='soon'"),
        (lambda: Budgets(timeout="0s", reservation_ttl="0s"), r"timeout(.|\n)*reservation_ttl"),
        (lambda: Budgets(when_down="ajar"), r"when_down='ajar'"),  # type: ignore[arg-type]
        (lambda: Budgets(per="galaxy"), r"per='galaxy'"),  # type: ignore[arg-type]
        (lambda: Budgets(totals={"fre": Limits()}), r"tier 'fre'.*Did you mean 'free'"),
        (lambda: Budgets({}), r"tiers=\[\]"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(make, says) -> None:
    """With the place, the problem and the way out; all problems together."""
    with pytest.raises(ConfigError, match=says):
        make()
