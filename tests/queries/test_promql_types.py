"""PromQL whose parts do not fit each other, over the catalog and over Google's metrics."""

from __future__ import annotations

import pytest

from obskit.catalog import Route
from obskit.queries.checks import promql_findings

RUN = "run_googleapis_com:request_count"
LATENCY = "run_googleapis_com:request_latencies"
UP = "monitoring_googleapis_com:uptime_check_check_passed"


def told(text: str, *, notes: bool = False, route: Route = Route.GCP) -> list[str]:
    return [f"{each.problem} | {each.way_out}" for each in promql_findings(text, route) if each.is_note is notes]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sum(rate(run_googleapis_com:request_cont[5m]))", "Cloud Run has no metric run_googleapis_com:request_cont | Did you mean run_googleapis_com:request_count"),
        ('sum(rate({"run.googleapis.com/request_cont"}[5m]))', "Cloud Run has no metric run.googleapis.com/request_cont | Did you mean run.googleapis.com/request_count"),
        ("runn_googleapis_com:request_count > 5", "no service of Google Cloud has metrics"),
        ("secretmanager_googleapis_com:access > 5", "Secret Manager has no metrics of its own in Cloud Monitoring"),
        ("rate(workload_googleapis_com:obskit_gen_ai_cost_total[5m])", "obskit writes workload_googleapis_com:obskit_gen_ai_cost; "),
        (f"rate({LATENCY}[5m])", f"{LATENCY} is a distribution | Write {LATENCY}_bucket, {LATENCY}_sum or {LATENCY}_count"),
        (f"rate({RUN}_bucket[5m])", f"{RUN} is no distribution and has no series {RUN}_bucket | Write {RUN}"),
        (f'rate({RUN}{{response_code_clas="5xx"}}[5m])', f'metric {RUN} has no label "response_code_clas" | Did you mean "response_code_class"'),
        (f'rate({RUN}{{service="shop"}}[5m])', f'metric {RUN} has no label "service" | Did you mean "service_name"'),
        (f"sum by (servicename) (rate({RUN}[5m]))", f'metric {RUN} has no label "servicename" | Did you mean "service_name"'),
        (f'{UP}{{check_id="a"}} == 0', f"{UP} is written against several resources, and PromQL refuses to guess | Add monitored_resource="),
        (f'{UP}{{monitored_resource="uptime_ur"}} == 0', f'{UP} is not written against resource "uptime_ur" | Did you mean monitored_resource="uptime_url"'),
        (f'{RUN}{{monitored_resource="cloud_run_job"}}', f'{RUN} is not written against resource "cloud_run_job"'),
        ('monitoring_googleapis_com:uptime_check_error_code{monitored_resource="uptime_url"}', "monitoring_googleapis_com:uptime_check_error_code holds texts, which PromQL cannot read"),
        ("rate(cloudsql_googleapis_com:database_cpu_utilization[5m])", "rate() needs something that only grows, cloudsql_googleapis_com:database_cpu_utilization is a gauge of double | Use avg_over_time(…)"),
        ('increase({"pubsub.googleapis.com/subscription/num_undelivered_messages"}[5m])', "increase() needs something that only grows"),
        (f"histogram_quantile(95, sum by (le) (rate({LATENCY}_bucket[5m])))", "histogram_quantile's first argument is 95, must be 0 to 1 | Write 0.95 for 95 %"),
        (f"histogram_quantile(0.95, sum by (le) (rate({RUN}[5m])))", f"histogram_quantile needs the buckets of a distribution, {RUN} is a delta of int64"),
        (f"histogram_quantile(0.95, rate({LATENCY}_sum[5m]))", f"histogram_quantile needs the buckets of a distribution, {LATENCY}_sum is only its sum | Write {LATENCY}_bucket"),
        (f"histogram_quantile(0.95, sum by (service_name) (rate({LATENCY}_bucket[5m])))", "the label le is aggregated away, and without it histogram_quantile gives nothing | Write sum by (le, service_name) (…)"),
        (f"histogram_quantile(0.95, sum(rate({LATENCY}_bucket[5m])))", "the label le is aggregated away"),
        (f"histogram_quantile(0.95, sum without (le) (rate({LATENCY}_bucket[5m])))", "the label le is aggregated away"),
        ("histogram_quantile(0.95, sum(rate(workload_googleapis_com:http_server_request_duration_bucket[5m])))", "the label le is aggregated away"),
        (f"histogram_quantile(0.95, sum by (le) (rate({LATENCY}_bucket[5m]))) / histogram_quantile(0.95, sum by (le) (rate(workload_googleapis_com:http_server_request_duration_bucket[5m])))", "the query divides unlike things: ms and s are different scales of one thing"),
        ("redis_googleapis_com:stats_memory_usage - redis_googleapis_com:server_uptime", "the query subtracts unlike things: By and s are not the same thing"),
        ("pubsub_googleapis_com:subscription_backlog_bytes > on (subscription_id) pubsub_googleapis_com:subscription_oldest_unacked_message_age", "the query compares unlike things: By and s are not the same thing"),
        (f"sum by (service_name) (rate({RUN}[5m])) / on (servce_name) sum by (service_name) (rate({RUN}[5m]))", f'metric {RUN} has no label "servce_name" | Did you mean "service_name"'),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told(text, problem):
    """Each slip that makes a query empty or senseless is named, with what was probably meant."""
    (found,) = told(text)

    assert found.startswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        f'sum by (service_name) (rate({RUN}{{response_code_class="5xx", service_name=~"shop.*"}}[5m])) > 1',
        'sum by ("service_name") (rate({"run.googleapis.com/request_count", response_code_class="5xx"}[5m]))'.replace('"service_name"', "service_name"),
        f"histogram_quantile(0.95, sum by (le, service_name) (rate({LATENCY}_bucket[5m]))) > 2000",
        f"histogram_quantile(0.95, sum without (revision_name) (rate({LATENCY}_bucket[5m])))",
        f"histogram_quantile(0.5, rate({LATENCY}_bucket[5m]))",
        f"sum(rate({LATENCY}_sum[5m])) / sum(rate({LATENCY}_count[5m])) / 1000 > 2",
        f'avg by (check_id) (avg_over_time({UP}{{monitored_resource="uptime_url"}}[5m])) < 1',
        "max_over_time(cloudsql_googleapis_com:database_disk_utilization[5m]) > 0.8",
        "cloudsql_googleapis_com:database_disk_bytes_used / cloudsql_googleapis_com:database_disk_quota > 0.8",
        "rate(storage_googleapis_com:network_sent_bytes_count[5m]) / 1024",
        f'label_replace(rate({RUN}[5m]), "service", "$1", "service_name", "(.*)") * on (service) group_left () up',
        "sum(increase(logging_googleapis_com:user_orders[1h]))",
        'sum(rate({"custom.googleapis.com/shop/orders"}[5m]))',
        "sum(rate(bigquery_googleapis_com:query_count[5m]))",
        'logging_googleapis_com:log_entry_count{monitored_resource="k8s_container", severity="ERROR", pod_name="a"}',
        f'{RUN}{{metric_response_code="500", metadata_user_team="a"}}',
        "sum by (http_route) (rate(workload_googleapis_com:http_server_request_duration_count[5m]))",
        "node_memory_bytes / up",
    ],
)  # fmt: skip
def test_what_is_right_or_unknown_passes(text):
    """Right queries pass in both forms of names, and so do metrics that only their owner knows."""
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("rate(run_googleapis_com:sandbox_forks[5m])", "run_googleapis_com:sandbox_forks is not in the index of 2026-04-10"),
        (f"deriv({RUN}[5m])", "deriv() is for gauges"),
        ("increase(obskit_gen_ai_cost_total[1d])", "obskit writes workload_googleapis_com:obskit_gen_ai_cost; obskit_gen_ai_cost_total is as Prometheus' exporters"),
        ("rate(http_server_request_duration_seconds_count[5m])", "obskit writes workload_googleapis_com:http_server_request_duration_count"),
    ],
)  # fmt: skip
def test_doubts_are_notes(text, note):
    """What may be right is only noted."""
    assert told(text) == []
    assert told(text, notes=True)[0].startswith(note)


def test_the_route_decides_how_the_catalog_is_spelled():
    """On the OTLP route the same mistakes are found in that route's names."""
    text = "histogram_quantile(0.9, sum(rate(http_server_request_duration_bucket[5m])))"

    assert told(text, route=Route.OTLP)[0].startswith("the label le is aggregated away")
