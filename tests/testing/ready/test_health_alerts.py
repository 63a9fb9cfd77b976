"""The alerts of what should run: providers, jobs, backups, the service itself. The clock begins at 0."""

from __future__ import annotations

from obskit.alerts import endpoint_down, missed_backup, missed_job, provider_down
from obskit.catalog import JOB_LAST_SUCCESS, PROVIDER_STATUS
from obskit.testing import AlertTest

PROVIDER = provider_down(channels=["slack", "pagerduty"])
JOB = missed_job(job="send-mail", max_age="2h", channels=["mail"])
BACKUP = missed_backup(channels=["mail"])
ENDPOINT = endpoint_down(check_id="chat-health", channels=["pagerduty"])

CHECK = "monitoring.googleapis.com/uptime_check/check_passed"


def provider(says, *processes):
    test = AlertTest(PROVIDER, says)
    for number, states in enumerate(processes):
        test = test.metric(PROVIDER_STATUS, states, provider="gemini", service="chat", instance=str(number))
    return test


def job(policy, says, name, moments, every):
    """When the job last succeeded, in seconds since the beginning, as it is exported."""
    where = {"obskit.job.name": name}
    return AlertTest(policy, says, every=every).metric(JOB_LAST_SUCCESS, moments, where=where, service="worker")


def endpoint(says, *places):
    test = AlertTest(ENDPOINT, says, every="1m")
    for number, passed in enumerate(places):
        test = test.metric(
            CHECK,
            passed,
            check_id="chat-health",
            checker_location=f"place-{number}",
            resource_type="uptime_url",
            resource={"host": "chat.example.com"},
            value_type="BOOL",
        )
    return test


provider_fails = (
    provider(
        "two of three processes find the provider unhealthy for ten minutes", "1x9 0x20 1x10", "1x9 0x20 1x10", "1x40"
    )
    .is_open("6m", until="15m30s", provider="gemini")
    .notifies("slack", times=1)
    .notifies("pagerduty", times=1)
)
one_process_fails = provider("one process of three has a network of its own", "1x40", "0x40", "1x40").stays_silent()
one_check_fails = provider("one failed check", "1x9 0 1x20", "1x9 0 1x20").stays_silent()

job_stops = (
    job(JOB, "an hourly job succeeds last at 3 h, and then never again", "send-mail", "0 3600 7200 10800x6", "1h")
    .is_open("5h1m")
    .notifies("mail", times=1)
)
job_never_ran = AlertTest(JOB, "the job never ran at all").lasting("3h").is_open("0m")
job_is_slow = job(
    JOB, "an hourly job that is up to 50 minutes late", "send-mail", "0 3600 6600 13200x1 16800 20400", "1h"
)
job_is_slow = job_is_slow.stays_silent()

backup_missed = (
    job(BACKUP, "a nightly backup that stops after the third night", "backup", "0x23 86400x23 172800x60", "1h")
    .is_open("74h5m")
    .notifies("mail", times=1)
)
backup_late = job(BACKUP, "a backup that ends an hour and a half late", "backup", "0x25 91800x20 172800x10", "1h")
backup_late = backup_late.stays_silent()

endpoint_fails = (
    endpoint("it fails from two of three places for ten minutes", "1x9 0x9 1x20", "1x9 0x9 1x20", "1x40")
    .is_open_at("16m")
    .is_silent_at("9m", "30m")
    .notifies("pagerduty", times=1)
)
one_place_fails = endpoint("it fails from one place of three only", "1x40", "0x40", "1x40").stays_silent()
one_minute_fails = endpoint(
    "every place fails for a minute, as during a deployment", "1x9 0 1x20", "1x9 0 1x20"
).stays_silent()
