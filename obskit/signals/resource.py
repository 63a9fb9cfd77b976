"""Who is speaking: the resource that every span and metric point carries, unique per process."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from obskit._version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from obskit.config import Config

__all__ = ["OwnResource", "build_resource", "instance_id", "with_instance"]

_INSTANCE: Final = "service.instance.id"
_CLOUD_RUN_NAMES: Final = ("K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL")
# A worker pool's has been seen under two names.
_CLOUD_RUN_VERSIONS: Final = (
    "K_REVISION",
    "CLOUD_RUN_EXECUTION",
    "CLOUD_RUN_WORKER_POOL_REVISION",
    "CLOUD_RUN_REVISION",
)
_REGIONS: Final = ("CLOUD_RUN_REGION", "FUNCTION_REGION", "GOOGLE_CLOUD_REGION")

_made_in: dict[int, str] = {}


def instance_id() -> str:
    """Return the id of this process: the host's name, the process id, and eight random digits. New after each fork."""
    pid = os.getpid()
    known = _made_in.get(pid)
    if known is None:
        _made_in.clear()
        known = _made_in[pid] = f"{socket.gethostname()}-{pid}-{secrets.token_hex(4)}"
    return known


class OwnResource:
    """The resource of this process; it is made when it is first asked for, as the SDK takes long to import.

    Args:
        config: the settings in force.
        environ: the environment, ``os.environ`` by default.
    """

    def __init__(self, config: Config, environ: Mapping[str, str] | None = None) -> None:
        self._attributes = _attributes_of(config, os.environ if environ is None else environ)
        self._made: Resource | None = None

    def __call__(self) -> Resource:
        """Return the SDK's resource, the same one until an attribute is added."""
        made = self._made
        if made is None:
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above

            made = self._made = Resource(dict(self._attributes))
        return made

    def add(self, key: str, value: str) -> None:
        """Add an attribute that has become known later, unless it has been given; what is exported then carries it."""
        if key not in self._attributes:
            self._attributes = {**self._attributes, key: value}
            self._made = None


def build_resource(config: Config, environ: Mapping[str, str] | None = None) -> Resource:
    """Return the resource of this process; see `OwnResource`.

    `OTEL_RESOURCE_ATTRIBUTES` is read first; settings that are given win over it. The platform's name is set
    for Cloud Run only: on Compute Engine and Kubernetes Google's exporter would then choose a monitored resource
    whose labels all workers of a machine share, and Cloud Monitoring refuses their points as out of order.

    Args:
        config: the settings in force.
        environ: the environment, ``os.environ`` by default.
    """
    return OwnResource(config, environ)()


def _attributes_of(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    attributes: dict[str, str] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.distro.name": "obskit",
        "telemetry.distro.version": __version__,
        "process.pid": str(os.getpid()),
        "host.name": socket.gethostname(),
    }
    attributes |= _from_environment(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    attributes |= _from_cloud_run(environ)
    if config.service_name != "unknown_service" or "service.name" not in attributes:
        attributes["service.name"] = config.service_name
    for key, value in (
        ("service.version", config.service_version),
        ("deployment.environment.name", config.environment),
        ("gcp.project_id", config.project),
    ):
        if value:
            attributes[key] = value
    # An id from the environment is the same in every worker of the machine, so the process's own is added to it.
    given = attributes.get(_INSTANCE)
    attributes[_INSTANCE] = f"{given}-{instance_id()}" if given else instance_id()
    return attributes


def with_instance(resource: Resource, identity: str) -> Resource:
    """Return the resource under another process's id."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - there is one already, so it is loaded

    return resource.merge(Resource({_INSTANCE: identity, "process.pid": str(os.getpid())}))


def _from_environment(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(",") if "=" in item)
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs if key.strip()}


def _from_cloud_run(environ: Mapping[str, str]) -> dict[str, str]:
    name = next((environ[key] for key in _CLOUD_RUN_NAMES if environ.get(key)), "")
    if not name:
        return {}
    found = {"cloud.provider": "gcp", "cloud.platform": "gcp_cloud_run", "faas.name": name}
    if version := next((environ[key] for key in _CLOUD_RUN_VERSIONS if environ.get(key)), ""):
        found["faas.version"] = version
    if index := environ.get("CLOUD_RUN_TASK_INDEX"):
        found["gcp.cloud_run.job.task_index"] = index
    if region := next((environ[key] for key in _REGIONS if environ.get(key)), ""):
        found["cloud.region"] = region
    return found
