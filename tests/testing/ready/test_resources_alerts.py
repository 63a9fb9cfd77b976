"""The alerts of uptime checks, certificates and SLOs."""

from __future__ import annotations

from obskit.resources import (
    RatioSLI,
    ServiceLevelObjective,
    burn_rate_alerts,
    certificate_alert,
    http_check,
    uptime_alert,
)
from obskit.testing import AlertTest

CHECK = http_check("chat-health", url="https://chat.example.com/health")
DOWN = uptime_alert(CHECK, channels=["pagerduty"])
CERTIFICATE = certificate_alert(CHECK, channels=["pagerduty"])

REQUESTS = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
SLO = ServiceLevelObjective(
    id="available",
    service="api",
    goal=0.999,
    rolling="30d",
    indicator=RatioSLI(bad=f'{REQUESTS} AND metric.labels.response_code_class="5xx"', total=REQUESTS),
)
HOUR, QUARTER, DAY, DAYS = burn_rate_alerts(SLO, page=["pagerduty"], ticket=["slack"])


def check(policy, says, metric, *places, value_type):
    """One series from each place that asks."""
    test = AlertTest(policy, says, every="1m")
    for number, values in enumerate(places):
        test = test.metric(
            f"monitoring.googleapis.com/uptime_check/{metric}",
            values,
            where={"check_id": "obskit:uptimeCheckConfigs/chat-health", "checker_location": f"place-{number}"},
            resource_type="uptime_url",
            resource={"host": "chat.example.com"},
            value_type=value_type,
        )
    return test


def passed(says, *places):
    return check(DOWN, says, "check_passed", *places, value_type="BOOL")


def days_left(says, values):
    return check(CERTIFICATE, says, "time_until_ssl_cert_expires", values, value_type="DOUBLE")


def budget(policy, says, *, good, total="0+1000x600"):
    return AlertTest(policy, says, every="1m").objective(0.999, good=good, total=total)


down_from_two_places = (
    passed("it fails from two places of three for ten minutes", "1x9 0x9 1x20", "1x9 0x9 1x20", "1x40")
    .is_open("11m", until="20m", host="chat.example.com")
    .notifies("pagerduty", times=1)
)
down_from_one_place = passed("it fails from one place of three", "1x40", "0x40", "1x40").stays_silent()
up_everywhere = passed("it answers everywhere", "1x40", "1x40").stays_silent()

certificate_ends = (
    days_left("14 days are left, then 13, and then it is renewed", "14x9 13.9x29 90x9")
    .is_open("20m", until="40m", host="chat.example.com")
    .notifies("pagerduty", times=1)
)
certificate_for_a_fortnight = days_left("exactly 14 days are left", "14x60").stays_silent()

fast_burn = (
    budget(HOUR, "2 % fail for two hours", good="0+1000x59 60000+980x119 177600+1000x420")
    .is_open("1h44m", until="3h2m", within="2m")
    .notifies("pagerduty", times=2)  # both windows must hold, and each has an incident
)
burst = budget(HOUR, "2 % fail for half an hour", good="0+1000x59 60000+980x29 89400+1000x510").stays_silent()
six_hours_of_one_percent = budget(QUARTER, "1 % fails for hours", good="0+990x600").is_open_at("6h", "9h")
six_hours_of_half_a_percent = budget(QUARTER, "half a percent fails", good="0+995x600").stays_silent()
a_day_of_half_a_percent = budget(DAY, "half a percent fails for hours", good="0+995x600").is_open_at("5h", "9h")
a_day_of_two_in_a_thousand = budget(DAY, "two in a thousand fail", good="0+998x600").stays_silent()
days_of_two_in_a_thousand = budget(DAYS, "two in a thousand fail", good="0+998x600").is_open_at("5h", "9h")
days_within_the_promise = budget(DAYS, "half of what the promise allows fails", good="0+999.5x600").stays_silent()
