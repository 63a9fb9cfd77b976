"""What the credentials may do, permission by permission."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from obskit.doctor.findings import Finding, Kind, info, ok, problem

if TYPE_CHECKING:
    from obskit.doctor.google import Google

__all__ = ["NEEDED", "Permission", "describe", "grant", "named_in", "of_signal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One permission that an exporter needs.

    Attributes:
        name: as IAM spells it.
        signal: that is lost without it.
        role: the smallest predefined role that has it.
    """

    name: str
    signal: str
    role: str


NEEDED: Final = (
    Permission(name="cloudtrace.traces.patch", signal="spans", role="roles/cloudtrace.agent"),
    Permission(name="monitoring.timeSeries.create", signal="metrics", role="roles/monitoring.metricWriter"),
    Permission(name="monitoring.metricDescriptors.create", signal="metrics", role="roles/monitoring.metricWriter"),
    Permission(name="errorreporting.errorEvents.create", signal="errors", role="roles/errorreporting.writer"),
)
LOGS: Final = Permission(name="logging.logEntries.create", signal="logs", role="roles/logging.logWriter")
_NAMED: Final = re.compile(r"\b[Pp]ermission '?([a-z]+\.[a-zA-Z]+\.[a-zA-Z]+)'? (?:was )?denied")


def of_signal(signal: str) -> Permission | None:
    """Return the first permission that a signal needs."""
    return next((needed for needed in (*NEEDED, LOGS) if needed.signal == signal), None)


def named_in(text: str) -> str:
    """Return the permission that an error of Google's names, or nothing."""
    found = _NAMED.search(text)
    return found.group(1) if found else ""


def grant(role: str, project: str, identity: str) -> str:
    """Return the command that grants a role."""
    if "@" not in identity:
        return f"Grant {role} on project {project}"
    kind = "serviceAccount" if identity.endswith(".gserviceaccount.com") else "user"
    return f"gcloud projects add-iam-policy-binding {project} --member={kind}:{identity} --role={role}"


def describe(
    google: Google, project: str, identity: str, *, timeout_s: float, writes_log_entries: bool = False
) -> list[Finding]:
    """Ask IAM which of the permissions the credentials have.

    Args:
        google: the APIs.
        project: that the exporter writes to.
        identity: the account's address, empty where it is not known.
        timeout_s: longest time to wait.
        writes_log_entries: whether the app writes to Cloud Logging's API rather than to stdout.
    """
    needed: Sequence[Permission] = (*NEEDED, LOGS) if writes_log_entries else NEEDED
    names = [permission.name for permission in needed]
    path = f"v1/projects/{project}:testIamPermissions"
    answer = google.ask("cloudresourcemanager", path, body={"permissions": names}, timeout_s=timeout_s)
    if answer.trouble:
        text = f"cannot be asked for: {answer.trouble}; what the test record meets tells instead"
        return [info(Kind.PERMISSIONS, "testIamPermissions", text)]
    held = set(answer.document.get("permissions") or ())
    missing = [permission for permission in needed if permission.name not in held]
    if not missing:
        return [ok(Kind.PERMISSIONS, "permissions", f"all {len(needed)}: {', '.join(names)}")]
    return [
        problem(
            Kind.PERMISSIONS,
            permission.name,
            f"{permission.name} is missing on project {project}: {permission.signal} will be refused",
            grant(permission.role, project, identity),
        )
        for permission in missing
    ]
