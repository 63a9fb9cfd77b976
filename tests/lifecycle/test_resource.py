"""Every process says who it is, and no two say the same."""

from __future__ import annotations

import os

import pytest
from opentelemetry.sdk.resources import Resource

from obskit.config import Config
from obskit.signals.resource import build_resource, instance_id, with_instance

SETTINGS = Config(service_name="shop", service_version="7", environment="prod", project="p1")


def test_the_settings_are_in_it() -> None:
    """Service, version, environment and project are under the conventions' names."""
    found = build_resource(SETTINGS, {}).attributes
    assert found["service.name"] == "shop"
    assert found["service.version"] == "7"
    assert found["deployment.environment.name"] == "prod"
    assert found["gcp.project_id"] == "p1"
    assert found["service.instance.id"] == instance_id()


def test_the_standard_environment_fills_in() -> None:
    """`OTEL_RESOURCE_ATTRIBUTES` adds attributes, decoded, and names the service where no setting does."""
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=other,team=a%20b,broken,=x"}
    assert build_resource(SETTINGS, environ).attributes["service.name"] == "shop"
    found = build_resource(Config(), environ).attributes
    assert found["service.name"] == "other"
    assert found["team"] == "a b"


def test_an_instance_id_of_the_environment_is_made_unique() -> None:
    """An id that all workers of a machine are given does not make them collide."""
    found = build_resource(SETTINGS, {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-1"}).attributes
    assert found["service.instance.id"] == f"pod-1-{instance_id()}"


def test_cloud_run_is_recognised() -> None:
    """On Cloud Run the platform, the service and the revision are known without asking the metadata server."""
    found = build_resource(SETTINGS, {"K_SERVICE": "shop", "K_REVISION": "shop-0007"}).attributes
    assert found["cloud.platform"] == "gcp_cloud_run"
    assert (found["faas.name"], found["faas.version"]) == ("shop", "shop-0007")
    pool = {"CLOUD_RUN_WORKER_POOL": "crew", "CLOUD_RUN_REVISION": "crew-0001"}
    found = build_resource(SETTINGS, pool).attributes
    assert (found["faas.name"], found["faas.version"]) == ("crew", "crew-0001")


@pytest.mark.parametrize("environ", [{}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}])
def test_no_platform_that_workers_would_share(environ: dict[str, str]) -> None:
    """Off Cloud Run no platform is named, so that Google's exporter tells workers apart by their instance id."""
    assert "cloud.platform" not in build_resource(SETTINGS, environ).attributes


def test_a_fork_has_an_id_of_its_own() -> None:
    """The id changes in a forked process and stays within one."""
    assert instance_id() == instance_id()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, instance_id().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    child = os.read(read, 200).decode()
    os.close(read)
    os.close(write)
    assert child != instance_id()
    assert f"-{pid}-" in child


def test_renewing_keeps_the_rest() -> None:
    """A resource under another id keeps all its other attributes."""
    renewed = with_instance(Resource({"service.name": "shop", "service.instance.id": "old"}), "new").attributes
    assert (renewed["service.name"], renewed["service.instance.id"]) == ("shop", "new")
