from __future__ import annotations

import pytest

from obskit.queries.context import RenderContext
from obskit.sync.exports.items import rendered
from obskit.sync.load import load

EVERYTHING = """
from obskit.alerts import (
    AbsenceCondition, Aggregation, AlertPolicy, Documentation, Link, LogMatchCondition, PromQLCondition, Reminder,
    ThresholdCondition, Trigger, email, env, existing, pagerduty, secret, webhook,
)
from obskit.resources import (
    BillingBudget, BudgetThreshold, LogLabel, LogMetric, MetricDescriptor, RatioSLI, Service, ServiceLevelObjective,
    Snooze, http_check, tcp_check, uptime_alert,
)

mail = email("mail", address="a@example.com", labels={"team": "web"})
pager = pagerduty("pager", service_key=secret("pager-key"))
hook = webhook("hook", url="https://hooks.example.com/x", token=env("HOOK_TOKEN"))
boss = existing(display_name="Boss")

REQUESTS = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
LATENCY = 'metric.type="run.googleapis.com/request_latencies" AND resource.type="cloud_run_revision"'
rate = Aggregation(period="300s", aligner="rate", reducer="sum", by=["resource.labels.service_name"])

slow = AlertPolicy(
    id="slow",
    display_name="Slow",
    severity="critical",
    channels=[mail, pager, boss],
    conditions=ThresholdCondition(
        filter=LATENCY, threshold=500, duration="5m", display_name="p95",
        aggregations=[Aggregation(period="300s", aligner="delta", reducer="percentile_95", by=["resource.labels.service_name"])],
    ),
    documentation=Documentation(
        subject="Slow: ${resource.label.service_name}",
        content='Look at ${policy.display_name}. A "quoted" {{ brace }} and 100 %{ }',
        links=[Link(name="Runbook", url="https://wiki.example.com/slow")],
    ),
    reminders=Reminder(channels=mail, every="1h"),
    auto_close="1h",
)
ratio = AlertPolicy(
    id="ratio",
    conditions=ThresholdCondition(
        filter=REQUESTS + ' AND metric.labels.response_code_class="5xx"', aggregations=[rate],
        denominator=REQUESTS, denominator_aggregations=[rate], threshold=0.05, trigger=Trigger(count=2),
    ),
)
gone = AlertPolicy(
    id="gone",
    conditions=AbsenceCondition(
        filter=REQUESTS, duration="10m", aggregations=[Aggregation(period="60s", aligner="rate", reducer="sum")]
    ),
)
each_gone = AlertPolicy(id="each-gone", conditions=AbsenceCondition(filter=REQUESTS, duration="10m"))
spelled = AlertPolicy(
    id="spelled",
    conditions=[
        PromQLCondition(query='sum by (service_name) (rate({"run.googleapis.com/request_count", response_code_class="5xx"}[5m])) > 1', display_name="a", duration="5m", interval="60s"),
        PromQLCondition(query='rate({"run.googleapis.com/request_count"}[5m]) > 100', display_name="b"),
    ],
)
logged = AlertPolicy(id="logged", conditions=LogMatchCondition(filter='severity="ERROR"'), rate_limit="5m")
off = AlertPolicy(id="off", conditions=PromQLCondition(query="up == 0"), enabled=False)

shop = http_check("shop", url="https://shop.example.com/", headers={"Authorization": env("SHOP_KEY")})
redis = tcp_check("redis", host="10.0.0.1", port=6379)
down = uptime_alert(shop, channels=[mail])
refunds = LogMetric(id="refunds", filter='jsonPayload.event="refund"', labels={"shop": LogLabel(value="EXTRACT(jsonPayload.shop)")})
orders = MetricDescriptor(id="orders", type="custom.googleapis.com/orders", metric_kind="cumulative", value_type="int64")
checkout = Service(id="checkout")
run = Service(id="run", platform="cloud_run", where={"service_name": "shop", "location": "europe-west1"})
fast = ServiceLevelObjective(
    id="fast", service=checkout, goal=0.99, rolling="30d",
    indicator=RatioSLI(good=REQUESTS + ' AND metric.labels.response_code_class="2xx"', total=REQUESTS),
)
night = Snooze(id="night", policies=[slow], start="2026-11-21T00:00Z", end="2026-11-22T00:00Z")
month = BillingBudget(
    id="month", account="000000-111111-222222", amount=100, currency="EUR", thresholds=[BudgetThreshold(share=0.5)], channels=[mail]
)
"""
BOARD = """
from alerts.everything import slow
from obskit.dashboards import AlertChart, Dashboard, DashboardFilter, IncidentList, LogsPanel, Row, Scorecard, Text, XyChart
from obskit.dashboards import CollapsibleGroup

board = Dashboard(
    id="board",
    display_name="Board",
    labels={"team": "web"},
    filters=[DashboardFilter(variable="service", label="service_name", default="shop")],
    rows=[
        Row(widgets=[
            XyChart(title="Requests", data=['sum(rate({"run.googleapis.com/request_count"}[5m]))'], unit="1/s", thresholds=[100]),
            Scorecard(title="Up", query="avg(up)", gauge=(0, 1)),
        ]),
        Row(widgets=[Text(title="Read", content="Costs ${amount} and {{x}}"), LogsPanel(title="Logs", filter="severity=ERROR")]),
        CollapsibleGroup(title="More", rows=[Row(widgets=[IncidentList(policies=[slow]), AlertChart(policy=slow)])]),
    ],
)
"""


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    """One definition of each kind, and some that no other format can say."""
    folder = tmp_path_factory.mktemp("everything")
    for name, stem, text in (("alerts", "everything", EVERYTHING), ("dashboards", "board", BOARD)):
        (folder / name).mkdir()
        (folder / name / f"{stem}.py").write_text(text)
    return folder


@pytest.fixture(scope="session")
def items(everything):
    loaded = load([everything / "alerts", everything / "dashboards"])
    assert [str(problem) for problem in loaded.problems] == []
    return rendered(loaded, RenderContext(project="shop-prod"))
