"""Cloud Run: when the container has CPU, and how many instances there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from obskit.doctor.findings import Finding, Kind, info, ok

if TYPE_CHECKING:
    from obskit.doctor.google import Google

__all__ = ["describe", "unknown"]


def unknown(environ: Mapping[str, str], region: str, why: str) -> list[Finding]:
    """Return that the CPU allocation cannot be told, and how to see it.

    Args:
        environ: the environment.
        region: of the service; empty where it is not known.
        why: it cannot be told.
    """
    service = environ.get("K_SERVICE", "SERVICE")
    command = f"gcloud run services describe {service} --region {region or 'REGION'} --format export"
    text = f"CPU allocation cannot be told ({why})"
    way_out = f"Grant roles/run.viewer, or look for cpu-throttling in: {command}"
    return [info(Kind.PLATFORM, "cpu allocation", text, way_out)]


def describe(
    google: Google, environ: Mapping[str, str], project: str, region: str, *, timeout_s: float
) -> list[Finding]:
    """Ask the Admin API how the service is set up.

    Args:
        google: the APIs.
        environ: the environment.
        project: the service's project.
        region: the service's region.
        timeout_s: longest time to wait.
    """
    if not project or not region:
        return unknown(environ, region, "project or region is not known")
    path = f"v2/projects/{project}/locations/{region}/services/{environ.get('K_SERVICE', '')}"
    answer = google.ask("run", path, timeout_s=timeout_s)
    if answer.trouble:
        return unknown(environ, region, answer.trouble)
    return _of_service(answer.document, environ.get("K_SERVICE", ""), region)


def _of_service(service: Mapping[str, Any], service_name: str, region: str) -> list[Finding]:
    template = service.get("template") or {}
    containers = template.get("containers") or [{}]
    # Absent in the reply means false. Source: proto3's JSON, and `ResourceRequirements.cpu_idle` of the Admin API.
    is_idle = bool((containers[0].get("resources") or {}).get("cpuIdle"))
    scalings = (service.get("scaling") or {}, template.get("scaling") or {})
    least = max(int(scaling.get("minInstanceCount") or 0) for scaling in scalings)
    instances = f"at least {least} instance{'' if least == 1 else 's'}" if least else "no minimum of instances"
    if not is_idle:
        return [ok(Kind.PLATFORM, "cpu allocation", f"CPU is always allocated; {instances}")]
    text = (
        f"CPU is allocated during requests only; {instances}. Exports run while requests do, and before the instance "
        "ends; what the last request of a quiet instance has left waits for the next one"
    )
    way_out = f"If minutes matter: gcloud run services update {service_name} --region {region} --no-cpu-throttling"
    return [info(Kind.PLATFORM, "cpu allocation", text, way_out)]
