"""The index of Google's metrics."""

from __future__ import annotations

import subprocess
import sys

import pytest

from obskit.catalog import Kind, Route
from obskit.queries.google_metrics import MetricKind, ValueType, google_metrics, known_metric

INDEX = google_metrics()


@pytest.mark.parametrize(
    ("metric_type", "kind", "value", "unit", "labels", "resource"),
    [
        ("run.googleapis.com/request_count", "delta", "int64", "1", {"response_code_class"}, "cloud_run_revision"),
        ("run.googleapis.com/request_latencies", "delta", "distribution", "ms", {"response_code"}, "cloud_run_revision"),
        ("run.googleapis.com/container/instance_count", "gauge", "int64", "1", {"state"}, "cloud_run_revision"),
        ("cloudsql.googleapis.com/database/disk/utilization", "gauge", "double", "1", set(), "cloudsql_database"),
        ("redis.googleapis.com/stats/memory/usage_ratio", "gauge", "double", "1", {"role"}, "redis_instance"),
        ("storage.googleapis.com/api/request_count", "delta", "int64", "1", {"method"}, "gcs_bucket"),
        ("loadbalancing.googleapis.com/https/request_count", "delta", "int64", "1", {"cache_result"}, "https_lb_rule"),
        ("networksecurity.googleapis.com/https/request_count", "delta", "int64", "1", {"blocked"}, "network_security_policy"),
        ("cloudtasks.googleapis.com/queue/depth", "gauge", "int64", "1", set(), "cloud_tasks_queue"),
        ("pubsub.googleapis.com/subscription/oldest_unacked_message_age", "gauge", "int64", "s", set(), "pubsub_subscription"),
        ("firestore.googleapis.com/document/read_ops_count", "delta", "int64", "1", {"type"}, "firestore.googleapis.com/Database"),
        ("dns.googleapis.com/query/response_count", "delta", "int64", "{request}", {"response_code"}, "dns_query"),
        ("apigateway.googleapis.com/proxy/request_count", "delta", "int64", "1", {"api_config"}, "apigateway.googleapis.com/Gateway"),
        ("serviceruntime.googleapis.com/api/request_count", "delta", "int64", "1", {"protocol"}, "consumed_api"),
        ("monitoring.googleapis.com/uptime_check/check_passed", "gauge", "bool", "", {"check_id"}, "uptime_url"),
        ("monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires", "gauge", "double", "d", {"check_id"}, "uptime_url"),
        ("aiplatform.googleapis.com/publisher/online_serving/token_count", "delta", "int64", "1", {"type"}, "aiplatform.googleapis.com/PublisherModel"),
        ("generativelanguage.googleapis.com/quota/generate_content_free_tier_requests/exceeded", "delta", "int64", "1", {"model"}, "generativelanguage.googleapis.com/Location"),
        ("logging.googleapis.com/exports/error_count", "delta", "int64", "1", set(), "logging_sink"),
        ("compute.googleapis.com/instance/cpu/utilization", "gauge", "double", "10^2.%", {"instance_name"}, "gce_instance"),
        ("kubernetes.io/container/restart_count", "cumulative", "int64", "1", set(), "k8s_container"),
    ],
)  # fmt: skip
def test_every_service_of_the_requirements_is_there(metric_type, kind, value, unit, labels, resource):
    """One metric of each service has the kind, value type, unit, labels and resource of Google's list."""
    metric = INDEX.metrics[metric_type]

    assert (metric.kind, metric.value, metric.unit) == (kind, value, unit)
    assert labels <= set(metric.labels)
    assert resource in metric.resources


def test_every_metrics_resources_are_described():
    """Each monitored resource that a metric names has its labels in the index."""
    assert {name for metric in INDEX.metrics.values() for name in metric.resources} <= set(INDEX.resources)
    assert all(resource.labels for resource in INDEX.resources.values())


def test_names_are_unique_in_promql():
    """No two metrics have one name in PromQL, so that a name finds its metric."""
    names = [name for metric in INDEX.metrics.values() for name in metric.promql_names]
    assert len(names) == len(set(names))
    assert all(INDEX.of_promql(name) is not None for name in names)


@pytest.mark.parametrize(
    "name",
    ["run_googleapis_com:request_latencies_bucket", "run.googleapis.com/request_latencies_bucket"],
)
def test_both_forms_of_a_name_are_found(name):
    """PromQL's mapped names and its quoted ones lead to the metric; a distribution's with a suffix."""
    found = INDEX.of_promql(name)

    assert found is INDEX.metrics["run.googleapis.com/request_latencies"]
    assert INDEX.of_promql("run_googleapis_com:request_latencies") is None
    assert found.role is Kind.HISTOGRAM
    assert found.metric_type(Route.OTLP) == found.name


def test_services_without_metrics_say_what_to_use():
    """Cloud Scheduler, Secret Manager and Security Command Center have no metrics, and the index says what to do."""
    without = {service.title: service.instead for service in INDEX.services.values() if service.instead}

    assert {"Cloud Scheduler", "Secret Manager", "Security Command Center"} <= set(without)
    assert all(not INDEX.types_of(service) for service in INDEX.services.values() if service.instead)


def test_the_index_has_a_source_and_a_date():
    """Who doubts an entry finds where it is from."""
    assert INDEX.source.startswith("https://docs.cloud.google.com/monitoring/")
    assert INDEX.date == "2026-04-10"


def test_a_metric_can_be_declared():
    """What the index lacks can be declared, and is then found in both languages."""
    made = known_metric(
        "custom.googleapis.com/test/orders", kind="cumulative", value="int64", unit="1", labels=["shop"]
    )

    assert INDEX.of_type("custom.googleapis.com/test/orders") is made
    assert INDEX.of_promql("custom_googleapis_com:test_orders") is made
    assert (made.kind, made.value, made.role) == (MetricKind.CUMULATIVE, ValueType.INT64, Kind.COUNTER)
    with pytest.raises(ValueError, match="level"):
        known_metric("custom.googleapis.com/test/level", kind="level", value="int64")


def test_the_index_is_read_when_it_is_asked_for():
    """Neither `import obskit` nor definitions that name no metric of Google's read the file."""
    code = (
        "import obskit, obskit.queries\n"
        "from obskit.queries.google_metrics import google_metrics\n"
        "print(google_metrics.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
