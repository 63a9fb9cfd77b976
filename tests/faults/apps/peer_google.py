"""OpenTelemetry's exporter for Cloud Monitoring against a backend of that kind: `peer_google.py FAULT ADDRESS`."""

from __future__ import annotations

import sys
import time

import grpc
from google.cloud.monitoring_v3 import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from opentelemetry.exporter.cloud_monitoring import CloudMonitoringMetricsExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

fault, address = sys.argv[1:]
transport = MetricServiceGrpcTransport(channel=grpc.insecure_channel(address))
exporter = CloudMonitoringMetricsExporter(project_id="p1", client=MetricServiceClient(transport=transport))
machine = Resource(
    {"cloud.platform": "gcp_compute_engine", "cloud.availability_zone": "europe-west1-b", "host.id": "1"}
)
provider = MeterProvider(
    [PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)], resource=machine, shutdown_on_exit=False
)
count = provider.get_meter("peer").create_counter("peer.count")
if fault == "workers":
    for _ in range(3):
        count.add(1)
        provider.force_flush()
        time.sleep(6)
else:
    for number in range(501):
        count.add(1, {"series": number})
    provider.force_flush()
