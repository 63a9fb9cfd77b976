"""Google's metadata server: whether it answers, and what it says about this machine."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from obskit.doctor.findings import Finding, Kind, info, ok, problem, warning
from obskit.signals import places

__all__ = ["Metadata", "ask", "describe"]

_QUESTIONS: Final = {
    "project": "project/project-id",
    "email": "instance/service-accounts/default/email",
    "scopes": "instance/service-accounts/default/scopes",
    "region": "instance/region",
    "zone": "instance/zone",
    "cluster": "instance/attributes/cluster-name",
}
_BROAD_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_NEEDED_SCOPES: Final = {
    "trace.append": ("https://www.googleapis.com/auth/trace.append",),
    "monitoring.write": (
        "https://www.googleapis.com/auth/monitoring.write",
        "https://www.googleapis.com/auth/monitoring",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the metadata server has said.

    Attributes:
        host: whom was asked; empty where nobody was.
        is_reachable: whether Google's metadata server answered.
        waited_s: how long the first answer, or giving up, took.
        detail: why there is no answer.
        project: the project's id.
        email: the default service account.
        scopes: what its tokens may be used for; empty where the platform has no scopes.
        region: of the service or machine.
        cluster: the GKE cluster's name.
    """

    host: str = ""
    is_reachable: bool = False
    waited_s: float = 0.0
    detail: str = ""
    project: str = ""
    email: str = ""
    scopes: tuple[str, ...] = ()
    region: str = ""
    cluster: str = ""


def ask(environ: Mapping[str, str], *, timeout_s: float = 1.5) -> Metadata:
    """Ask the metadata server, without a proxy.

    Args:
        environ: the environment; ``GCE_METADATA_HOST`` names another server.
        timeout_s: longest time for all questions together.
    """
    host = places.metadata_host(environ)
    begun = time.monotonic()
    deadline = begun + timeout_s
    answers: dict[str, str] = {}
    waited_s = 0.0
    try:
        for name, path in _QUESTIONS.items():
            answers[name] = places.ask(host, path, max(0.05, deadline - time.monotonic()))
            waited_s = waited_s or time.monotonic() - begun
    except (OSError, http.client.HTTPException, ValueError) as error:
        if not answers:
            return Metadata(host=host, waited_s=time.monotonic() - begun, detail=_reason(error))
    return Metadata(
        host=host,
        is_reachable=True,
        waited_s=waited_s,
        project=answers.get("project", ""),
        email=answers.get("email", ""),
        scopes=tuple(answers.get("scopes", "").split()),
        region=_region(answers),
        cluster=answers.get("cluster", ""),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _region(answers: Mapping[str, str]) -> str:
    if answers.get("region"):
        return answers["region"].rpartition("/")[2]
    return answers.get("zone", "").rpartition("/")[2].rpartition("-")[0]


def describe(metadata: Metadata, *, is_google: bool, is_needed: bool) -> list[Finding]:
    """Return what there is to say about the metadata server.

    Args:
        metadata: its answers.
        is_google: whether this is Google Cloud, where one must answer.
        is_needed: whether an exporter needs what it hands out.
    """
    if not metadata.host:
        return [info(Kind.PLATFORM, "metadata server", "metadata server: not asked, as nothing says Google Cloud")]
    if not metadata.is_reachable:
        text = f"metadata server: none at {metadata.host} ({metadata.detail}, after {metadata.waited_s:.1f} s)"
        if is_google and is_needed:
            way_out = "Allow the process to reach metadata.google.internal; credentials come from there"
            return [problem(Kind.PLATFORM, "metadata server", text, way_out)]
        return [info(Kind.PLATFORM, "metadata server", text)]
    where = f", {metadata.region}" if metadata.region else ""
    cluster = f", cluster {metadata.cluster}" if metadata.cluster else ""
    text = f"metadata server: answers in {metadata.waited_s * 1000:.0f} ms{where}{cluster}"
    return [ok(Kind.PLATFORM, "metadata server", text), *(_scopes(metadata) if is_needed else [])]


def _scopes(metadata: Metadata) -> list[Finding]:
    if not metadata.scopes or _BROAD_SCOPE in metadata.scopes:
        return []
    missing = [name for name, any_of in _NEEDED_SCOPES.items() if not set(any_of) & set(metadata.scopes)]
    if not missing:
        return []
    text = f"the machine's access scopes lack {' and '.join(missing)}, whatever its service account may do"
    way_out = "Stop the machine and set its scopes to cloud-platform: gcloud compute instances set-service-account"
    return [warning(Kind.CREDENTIALS, "scopes", text, way_out)]
