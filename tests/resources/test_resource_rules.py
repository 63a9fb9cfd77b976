"""Each rule of the platform is checked before anything is sent: all at once, with the place and a way out."""

from __future__ import annotations

import pytest

from obskit import resources
from obskit.alerts import email, env, metric_filter, per_stack, secret, slack
from obskit.catalog import AI_COST, HTTP_SERVER_DURATION, Route
from obskit.errors import DefinitionError, collecting
from obskit.queries.context import RenderContext

CONTEXT = RenderContext(project="p", environ={"KEY": "k"})
REQUESTS = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
LATENCIES = 'metric.type="run.googleapis.com/request_latencies" AND resource.type="cloud_run_revision"'
RATIO = resources.RatioSLI(bad=REQUESTS, total=REQUESTS)


def snooze(**changes):
    return resources.Snooze(
        **({"id": "a", "policies": ["p"], "start": "2026-12-24T18:00:00Z", "lasting": "1h"} | changes)
    )


def check(**changes):
    return resources.http_check("a", **({"url": "https://a.example.com"} | changes))


def log(**changes):
    return resources.LogMetric(**({"id": "a", "filter": "severity>=ERROR"} | changes))


def descriptor(**changes):
    fields = {"type": "custom.googleapis.com/a", "metric_kind": "gauge", "value_type": "double"}
    return resources.MetricDescriptor(id="a", **(fields | changes))


def slo(**changes):
    fields = {"service": "api", "indicator": RATIO, "goal": 0.99, "rolling": "30d"}
    return resources.ServiceLevelObjective(id="a", **(fields | changes))


def budget(**changes):
    fields = {"account": "012345-6789AB-CDEF01", "amount": 10, "thresholds": [1.0]}
    return resources.BillingBudget(id="a", **(fields | changes))


def told(definition, context=CONTEXT):
    return [problem.problem for problem in definition.problems(context)]


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (snooze(policies=[]), "there are 0 policies, must be 1 to 16"),
        (snooze(policies=[f"p{i}" for i in range(17)]), "there are 17 policies, must be 1 to 16"),
        (snooze(policies=["a", "b"], filter='resource.labels.zone="a"'), "a filter goes with one policy, there are 2"),
        (snooze(end="2026-12-25T00:00:00Z"), "a snooze has either end= or lasting="),
        (snooze(lasting=None), "a snooze has either end= or lasting="),
        (snooze(lasting="0s"), "it ends at 2026-12-24T18:00:00Z, which is not after its start"),
        (snooze(display_name="x" * 513), "display_name has 513 characters, at most 512 are allowed"),
        (check(period="2m"), "period is 2 min, must be 1, 5, 10 or 15 min"),
        (check(timeout="2m"), "timeout is 2 min, must be 1 s to 60 s"),
        (check(regions=["europe"]), "the regions have 1 locations, at least 3 are needed"),
        (check(url="https:///health"), "host is '', must be a host name or an address"),
        (check(pings=4), "pings is 4, must be 0 to 3"),
        (check(body="a"), "a GET request has no body"),
        (check(headers={"Authorization": "Bearer x"}), "header Authorization is a secret and stands in the file"),
        (check(headers={"Content-Type": "text/plain"}), "headers= has a Content-Type"),
        (check(username="u", password="p"), "password is a secret and stands in the file"),
        (check(username="u"), "basic authentication needs both username= and password="),
        (
            check(username="u", password=env("KEY"), identity_token=True),
            "identity_token= and username= exclude each other",
        ),
        (check(password=env("NO"), username="u"), "environment variable NO is not set"),
        (check(headers={f"h{i}": "x" for i in range(101)}), "there are 101 headers, at most 100 are allowed"),
        (
            check(content=resources.ContentMatch(content="x" * 1025)),
            "the content has 1025 bytes, 1 to 1024 are allowed",
        ),
        (
            check(content=resources.ContentMatch(content="x", matcher="json_path")),
            "matcher \"json_path\" and path='' do not fit",
        ),
        (
            resources.tcp_check(
                "a", host="a.example.com", port=25, content=resources.ContentMatch(content="x", matcher="matches")
            ),
            'matcher "matches" is for HTTP checks',
        ),
        (resources.tcp_check("a", host="a.example.com", port=70_000), "port is 70000, must be 1 to 65535"),
        (resources.tcp_check("a", host="https://a", port=1), "host is 'https://a', must be a host name or an address"),
        (resources.UptimeCheck(id="a"), "an uptime check has either a target= or a function="),
        (log(filter=" "), "the filter is empty, so every log entry fits"),
        (log(filter='a="b'), "the filter has a quote that is not closed"),
        (log(filter="(a=1"), "the filter has more of one kind of parenthesis than of the other"),
        (log(name="/a"), "name is '/a', must be at most 100 of A-Z, a-z, 0-9 and _-.,+!*',()%/"),
        (log(value="jsonPayload.ms"), "value: 'jsonPayload.ms' is no extractor"),
        (log(labels={"a": 'REGEXP_EXTRACT(x, "a")'}), "label a: the pattern 'a' has 0 groups, must have one"),
        (log(labels={"a": 'REGEXP_EXTRACT(x, "(a")'}), "label a: the pattern '(a' does not compile: "),
        (log(labels={"a-b": "EXTRACT(x)"}), 'label "a-b" must be letters, digits and _, at most 100'),
        (log(labels={f"l{i}": "EXTRACT(x)" for i in range(11)}), "there are 11 labels, at most 10 are allowed"),
        (log(buckets=resources.ExplicitBuckets(bounds=[1])), "buckets= is for a metric with value="),
        (
            log(value="EXTRACT(x)", buckets=resources.ExplicitBuckets(bounds=[2, 1])),
            "the buckets' bounds do not rise",
        ),
        (
            log(value="EXTRACT(x)", buckets=resources.ExponentialBuckets(count=201)),
            "there are 201 buckets, must be 1 to 200",
        ),
        (
            log(value="EXTRACT(x)", buckets=resources.ExponentialBuckets(growth=1)),
            "scale 0.01 and growth 1 make no buckets",
        ),
        (
            log(value="EXTRACT(x)", buckets=resources.LinearBuckets(width=0, count=2)),
            "the buckets' width is 0, must be above 0",
        ),
        (descriptor(type="run.googleapis.com/x"), "type is 'run.googleapis.com/x', must be a metric of your own"),
        (descriptor(type="custom.googleapis.com/a b"), "type is 'custom.googleapis.com/a b', must be at most 200"),
        (
            descriptor(metric_kind="cumulative", value_type="string"),
            "a cumulative metric cannot have string values",
        ),
        (descriptor(labels={f"l{i}": "" for i in range(31)}), "there are 31 labels, at most 30 are allowed"),
        (descriptor(labels={"1": ""}), 'label "1" must be letters, digits and _, at most 100'),
        (descriptor(label_types={"x": "bool"}), 'label_types names "x", which is not in labels='),
        (descriptor(labels={"x": ""}, label_types={"x": "float"}), 'label x: "float" is no type of a label'),
        (
            resources.Service(id="a", platform="cloud_run", where={"service_name": "a"}),
            'where: platform "cloud_run" needs location',
        ),
        (
            resources.Service(id="a", platform="app_engine", where={"modul_id": "a"}),
            'where: platform "app_engine" has no "modul_id"',
        ),
        (slo(goal=1.0), "goal is 1, must be above 0 and at most 0.9999"),
        (slo(rolling="31d"), "rolling is 31 d, must be 1 to 30 whole days"),
        (slo(rolling="36h"), "rolling is 36 h, must be 1 to 30 whole days"),
        (slo(calendar="month"), "an SLO has either a rolling or a calendar period"),
        (
            slo(service=resources.Service(id="api"), indicator=resources.BasicSLI()),
            'a service on platform "custom" has no requests that the platform counts, as BasicSLI needs',
        ),
        (
            slo(indicator=resources.RatioSLI(total=REQUESTS)),
            "indicator: a ratio needs two of good, bad and total, there are 1",
        ),
        (
            slo(indicator=resources.RatioSLI(bad=LATENCIES, total=REQUESTS)),
            "indicator: bad: run.googleapis.com/request_latencies is a delta distribution, must be a delta or",
        ),
        (
            slo(indicator=resources.RatioSLI(bad=REQUESTS.replace("count", "cout"), total=REQUESTS)),
            "indicator: bad: Cloud Run has no metric run.googleapis.com/request_cout",
        ),
        (slo(indicator=resources.DistributionSLI(filter=LATENCIES)), "indicator: without limits every value is good"),
        (
            slo(indicator=resources.DistributionSLI(filter=LATENCIES, at_least=2, at_most=1)),
            "indicator: at_least 2 is not below at_most 1",
        ),
        (
            slo(indicator=resources.DistributionSLI(filter=metric_filter(AI_COST), at_most=1)),
            "indicator: filter: ",
        ),
        (
            slo(indicator=resources.WindowsSLI(window="7m", performance=RATIO, at_least=0.9)),
            "indicator: window is 7 min, must be 1 min or more and divide a day",
        ),
        (slo(indicator=resources.WindowsSLI(window="5m")), "indicator: a window is good by one criterion"),
        (
            slo(indicator=resources.WindowsSLI(window="5m", performance=RATIO, at_least=99)),
            "indicator: at_least is 99, must be a share between 0 and 1",
        ),
        (budget(account="x"), "account is 'x', must be a billing account"),
        (budget(amount=0), "amount is 0, must be above 0"),
        (budget(currency="euro"), "currency is 'euro', must be three capital letters"),
        (budget(display_name="x" * 61), "display_name has 61 characters, at most 60 are allowed"),
        (budget(thresholds=[90]), "a threshold's share is 90, which is 9000 %"),
        (budget(thresholds=[-1]), "a threshold's share is -1, must be 0 or more"),
        (
            budget(
                scope=resources.Scope(start="2026-01-01"), thresholds=resources.BudgetThreshold(share=1, of="forecast")
            ),
            "there is no forecast for a scope with start=",
        ),
        (
            budget(amount=None, scope=resources.Scope(start="2026-01-01")),
            "without amount= the last period's is taken, and a scope with start= has none",
        ),
        (
            budget(scope=resources.Scope(start="2026-02-01", end="2026-01-01")),
            "end is 2026-01-01, must come after start",
        ),
        (
            budget(scope=resources.Scope(start="2026-02-01", period="month")),
            "the scope has both period= and start=",
        ),
        (budget(scope=resources.Scope(labels={"a": "1", "b": "2"})), "there are 2 labels, at most one is allowed"),
        (budget(scope=resources.Scope(credits="specified")), 'credit_types and credits="specified" go together'),
        (budget(scope=resources.Scope(ancestors=["x"])), "ancestor 'x' is no folder or organization"),
        (budget(channels=["a"], thresholds=[]), "e-mails are sent at thresholds, and there are none"),
        (budget(channels=[f"c{i}" for i in range(6)]), "there are 6 channels, at most 5 are allowed"),
        (
            budget(channels=[slack("s", channel="#a", token=env("KEY"))]),
            'channel "s" is a slack channel, budgets tell e-mail channels only',
        ),
        (budget(topic="t"), "topic is 't'"),
        (budget(tell_project_owners=True), "tell_project_owners needs a scope of exactly one project"),
    ],
)
def test_each_rule_of_the_platform_is_checked(definition, problem):
    """What the API would refuse is refused here, once, with a way out, at the definition's own line."""
    (found,) = definition.problems(CONTEXT)
    assert found.problem.startswith(problem)
    assert found.way_out
    assert found.place.startswith("tests/resources/test_resource_rules.py:")


def test_all_problems_of_a_definition_are_told_at_once():
    """Nothing hides behind the first problem."""
    made = check(period="2m", timeout="2m", pings=4, labels={"Team": "x"})
    assert told(made) == [
        "pings is 4, must be 0 to 3",
        "period is 2 min, must be 1, 5, 10 or 15 min",
        "timeout is 2 min, must be 1 s to 60 s",
        'label key "Team" must be 1 to 63 of a-z, 0-9, _ and -, and start with a letter',
    ]


def test_the_limits_themselves_are_allowed():
    """The rules are not stricter than the platform's."""
    assert told(snooze(policies=[f"p{i}" for i in range(16)], display_name="x" * 512)) == []
    assert told(slo(goal=0.9999, rolling="1d")) == []
    assert told(log(labels={f"l{i}": "EXTRACT(x)" for i in range(10)})) == []
    assert told(check(timeout="60s", period="15m", pings=3, regions=["usa"])) == []
    assert told(budget(channels=[email(f"c{i}", address="a@example.com") for i in range(5)], thresholds=[1.5])) == []


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: snooze(start="tomorrow"), "'tomorrow' is not a date and time"),
        (lambda: snooze(start="2026-12-24T18:00:00"), "2026-12-24T18:00:00 has no time zone"),
        (lambda: check(statuses=["good"]), "'good' is no status"),
        (lambda: check(headers=[1]), r"\[1\] is not a table of headers"),
        (lambda: resources.tcp_check("a", host="h", port=1.5), "1.5 is not a whole number"),
        (lambda: slo(goal=99.9), "99.9 is not a share between 0 and 1"),
        (lambda: log(labels={"a": 1}), "label a: 1 is no extractor"),
        (lambda: budget(scope=resources.Scope(start="soon")), "'soon' is not a date"),
        (lambda: resources.Service(id="a", platform="cloudrun"), 'Did you mean "cloud_run"'),
    ],
)
def test_what_can_never_be_right_is_refused_where_it_is_written(make, problem):
    """A value of the wrong kind is told by the constructor, with what to write instead."""
    with pytest.raises(DefinitionError, match=problem):
        make()


def test_a_misspelt_argument_names_the_nearest():
    """The functions that make checks know their arguments."""
    with collecting() as problems:
        check(perod="5m")
    assert [(each.problem, each.way_out) for each in problems] == [
        ('unknown argument "perod"', 'Did you mean "period"')
    ]


def test_a_secret_of_a_check_is_read_only_when_it_is_synced():
    """Secret Manager is not asked while definitions are checked; without the value, rendering says which is missing."""
    made = check(username="u", password=secret("probe", version="3"))
    assert told(made) == []
    with pytest.raises(DefinitionError, match="projects/p/secrets/probe/versions/3 was not read"):
        made.to_dict(CONTEXT)
    known = RenderContext(project="p", secrets={"projects/p/secrets/probe/versions/3": "s3cret"})
    assert made.to_dict(known)["httpCheck"]["authInfo"] == {"username": "u", "password": "s3cret"}
    assert "s3cret" not in repr(made) + repr(known)


def test_a_goal_may_differ_from_stack_to_stack():
    """One objective, another goal in production."""
    made = slo(goal=per_stack({"dev": 0.9, "prod": 0.999}))
    goals = [made.to_dict(RenderContext(project="p", stack=stack))["goal"] for stack in ("dev", "prod")]
    assert goals == [0.9, 0.999]


def test_a_catalog_metric_is_spelled_for_the_route():
    """An objective over obskit's own histogram follows the export route."""
    made = slo(indicator=resources.DistributionSLI(filter=metric_filter(HTTP_SERVER_DURATION), at_most=0.5))
    texts = [
        made.to_dict(RenderContext(project="p", route=route))["serviceLevelIndicator"]["requestBased"][
            "distributionCut"
        ]
        for route in Route
    ]
    assert "workload.googleapis.com/" in texts[0]["distributionFilter"]
    assert "prometheus.googleapis.com/" in texts[1]["distributionFilter"]


@pytest.mark.parametrize("kind", resources.KINDS, ids=lambda kind: kind.noun)
def test_every_kind_keeps_to_the_protocol(kind):
    """What sync needs of a kind is there, and something that is no object is refused with a way out."""
    for name in ("noun", "collection", "labels_field", "problems", "to_dict", "from_json"):
        assert hasattr(kind, name)
    with pytest.raises(DefinitionError, match="is not an object of the REST API"):
        kind.from_json(["no", "object"])
