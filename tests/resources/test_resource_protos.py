"""Google's own types judge what is rendered, and what is read comes back."""

from __future__ import annotations

import json

import pytest
from google.api import metric_pb2
from google.cloud import monitoring_v3
from google.cloud.billing import budgets_v1
from google.cloud.logging_v2.types import LogMetric as GoogleLogMetric
from google.protobuf import json_format

from obskit import resources
from obskit.alerts import email, env, metric_filter
from obskit.catalog import HTTP_SERVER_DURATION, Route
from obskit.queries import matches
from obskit.queries.context import RenderContext

TYPES = {
    "snooze": monitoring_v3.Snooze,
    "uptime check": monitoring_v3.UptimeCheckConfig,
    "log-based metric": GoogleLogMetric,
    "metric descriptor": metric_pb2.MetricDescriptor,
    "service": monitoring_v3.Service,
    "SLO": monitoring_v3.ServiceLevelObjective,
    "billing budget": budgets_v1.Budget,
}
TEXTS = {"userLabels", "labelExtractors"}  # tables of texts, which have no fields
REQUESTS = 'metric.type="run.googleapis.com/request_count" AND resource.type="cloud_run_revision"'
LATENCIES = 'metric.type="run.googleapis.com/request_latencies" AND resource.type="cloud_run_revision"'
CPU = 'metric.type="cloudsql.googleapis.com/database/cpu/utilization" AND resource.type="cloudsql_database"'
RATIO = resources.RatioSLI(bad=f'{REQUESTS} AND metric.labels.response_code_class="5xx"', total=REQUESTS)
FAST = resources.DistributionSLI(filter=LATENCIES, at_least=0, at_most=500)


def slo(indicator, **fields):
    fields = {"goal": 0.995, "rolling": "28d"} | fields
    return resources.ServiceLevelObjective(id="good", service="api", indicator=indicator, **fields)


def http(**fields):
    return resources.http_check("health", url="https://api.example.com:8443/health?deep=1", **fields)


DEFINITIONS = {
    "snooze": resources.Snooze(
        id="move",
        policies=["latency-p95"],
        start="2026-12-24T18:00:00+01:00",
        lasting="4h",
        filter='resource.labels.zone="a"',
        display_name="Moving house",
    ),
    "http": http(
        method="post",
        body="a=1",
        headers={"Accept": "text/html"},
        statuses=[200, "3xx"],
        username="probe",
        password=env("PASSWORD", default="p"),
        pings=2,
        content=resources.ContentMatch(content="ok", matcher="json_path", path="$.status"),
        regions=["usa", "europe"],
        period="5m",
        timeout="30s",
        labels={"team": "web"},
    ),
    "http-with-a-token": http(identity_token=True, headers={"X-Api-Key": env("KEY", default="k")}),
    "http-of-a-service": http(resource_type="cloud_run_revision", resource_labels={"service_name": "api"}),
    "tcp": resources.tcp_check("smtp", host="mail.example.com", port=25),
    "synthetic": resources.synthetic_check("journey", function="projects/p/locations/l/functions/f"),
    "counter": resources.LogMetric(
        id="failures",
        name="checkout/failures",
        filter="severity>=ERROR",
        labels={
            "route": "EXTRACT(jsonPayload.route)",
            "code": resources.LogLabel(
                value='REGEXP_EXTRACT(jsonPayload.line, "code=([0-9]+)")', type="int64", description="of the answer"
            ),
        },
        description="Orders that failed",
    ),
    "distribution": resources.LogMetric(
        id="latency",
        filter="severity>=INFO",
        value="EXTRACT(jsonPayload.latency_ms)",
        unit="ms",
        buckets=resources.ExplicitBuckets(bounds=[1, 10, 100]),
        bucket="projects/p/locations/l/buckets/b",
        disabled=True,
    ),
    "distribution-by-default": resources.LogMetric(id="size", filter="severity>=INFO", value="EXTRACT(jsonPayload.s)"),
    "linear": resources.LogMetric(
        id="linear",
        filter="severity>=INFO",
        value="EXTRACT(jsonPayload.s)",
        buckets=resources.LinearBuckets(width=2, count=10, offset=1),
    ),
    "descriptor": resources.MetricDescriptor(
        id="orders",
        type="custom.googleapis.com/shop/orders",
        metric_kind="cumulative",
        value_type="int64",
        unit="{order}",
        labels={"country": "where to", "paid": ""},
        label_types={"paid": "bool"},
        display_name="Orders",
        description="Orders that were taken",
    ),
    "service": resources.Service(id="api", display_name="API", labels={"team": "web"}, telemetry="//x/y"),
    "cloud-run": resources.Service(
        id="api", platform="cloud_run", where={"service_name": "api", "location": "europe-west1"}
    ),
    "ratio": slo(RATIO, labels={"team": "web"}),
    "fast": slo(FAST, rolling=None, calendar="month"),
    "one-sided": slo(resources.DistributionSLI(filter=LATENCIES, at_most=500)),
    "basic": slo(resources.BasicSLI(latency="500ms", methods=["Get"])),
    "basic-availability": slo(resources.BasicSLI()),
    "windows-ratio": slo(resources.WindowsSLI(window="5m", performance=RATIO, at_least=0.99)),
    "windows-basic": slo(resources.WindowsSLI(window="5m", performance=resources.BasicSLI(), at_least=0.9)),
    "windows-mean": slo(resources.WindowsSLI(window="10m", mean_of=CPU, at_most=0.8)),
    "windows-sum": slo(resources.WindowsSLI(window="10m", sum_of=CPU, at_least=0, at_most=8)),
    "windows-flag": slo(
        resources.WindowsSLI(window="1h", good_if='metric.type="custom.googleapis.com/up" AND resource.type="global"')
    ),
    "catalog": slo(
        resources.DistributionSLI(
            filter=metric_filter(HTTP_SERVER_DURATION, where={"http.response.status_code": matches("[234]..")}),
            at_most=0.5,
        )
    ),
    "budget": resources.BillingBudget(
        id="all",
        account="012345-6789AB-CDEF01",
        amount=1234.56,
        currency="EUR",
        scope=resources.Scope(
            projects=["shop"],
            services=["152E-C115-5142"],
            labels={"team": "web"},
            credits="specified",
            credit_types=["PROMOTION"],
            period="quarter",
        ),
        thresholds=[0.5, 0.9, resources.BudgetThreshold(share=1.0, of="forecast")],
        channels=[email("finance", address="f@example.com")],
        topic="projects/p/topics/t",
        tell_billing_admins=False,
        tell_project_owners=True,
    ),
    "budget-as-last-month": resources.BillingBudget(
        id="last", account="012345-6789AB-CDEF01", thresholds=1.0, scope=resources.Scope(period="month")
    ),
    "budget-of-a-year": resources.BillingBudget(
        id="once",
        account="012345-6789AB-CDEF01",
        amount=5,
        scope=resources.Scope(start="2026-01-01", end="2026-12-31", ancestors=["folders/1"], subaccounts=["A"]),
    ),
}


def proto(definition, document):
    kind = TYPES[definition.noun]
    message = kind() if definition.noun == "metric descriptor" else kind.pb(kind())
    return json_format.ParseDict(document, message)


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_passes_googles_types_without_a_problem(name, route):
    """Every field that is rendered is known to the official type, and no rule is broken."""
    definition, context = DEFINITIONS[name], RenderContext(project="p", route=route)
    assert [str(problem) for problem in definition.problems(context)] == []
    assert proto(definition, definition.to_dict(context)).ByteSize()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_what_is_read_from_googles_json_is_the_definition(name):
    """A definition's JSON, as Google's own type writes it, reads back to fields that render the same message."""
    definition, context = DEFINITIONS[name], RenderContext(project="p")
    message = proto(definition, definition.to_dict(context))
    again = type(definition).from_json(json_format.MessageToDict(message), id=definition.id)
    environ = RenderContext(project="p", environ={"HEALTH_PASSWORD": "p", "HEALTH_X_API_KEY": "k"})
    assert proto(again, again.to_dict(environ)) == message
    assert again.carried == {}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_field_of_tomorrow_is_carried(name):
    """Fields that no model knows, within the object's own tables too, are rendered again as they were read."""
    definition = DEFINITIONS[name]
    document = definition.to_dict(RenderContext(project="p")) | {"fieldOfTomorrow": {"a": [1, {"b": "c"}]}}
    tables = [key for key, value in document.items() if isinstance(value, dict) and key not in TEXTS]
    for key in tables:
        document[key] = document[key] | {"another": True}
    environ = RenderContext(project="p", environ={"HEALTH_PASSWORD": "p", "HEALTH_X_API_KEY": "k"})
    again = type(definition).from_json(json.loads(json.dumps(document)), id=definition.id).to_dict(environ)
    assert again["fieldOfTomorrow"] == document["fieldOfTomorrow"]
    assert all(again[key]["another"] is True for key in tables)
