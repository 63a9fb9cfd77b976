"""One call of a Google service: counted, held to permissions, made to fail where a test wants it, carried out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
from google.rpc import error_details_pb2

from obskit.local.faults import Failure
from obskit.local.rpc.failure import Refused
from obskit.local.store import Store

__all__ = ["PERMISSIONS", "carry_out"]

# Source: "Access control" of Cloud Monitoring, Cloud Logging and Cloud Billing. The noun of a method → its permissions.
_NOUNS: Final = {
    "AlertPolicy": "monitoring.alertPolicies",
    "Budget": "billing.budgets",
    "Dashboard": "monitoring.dashboards",
    "LogMetric": "logging.logMetrics",
    "MetricDescriptor": "monitoring.metricDescriptors",
    "NotificationChannel": "monitoring.notificationChannels",
    "Service": "monitoring.services",
    "ServiceLevelObjective": "monitoring.slos",
    "Snooze": "monitoring.snoozes",
    "UptimeCheckConfig": "monitoring.uptimeCheckConfigs",
}
_PLURALS: Final = {"AlertPolicies": "AlertPolicy"} | {f"{noun}s": noun for noun in _NOUNS if noun != "AlertPolicy"}
_METHOD: Final = re.compile(r"(Create|Get|List|Update|Delete)(\w+)")
# Source: the clients' comments, "Design your application to single-thread API calls that modify …".
_IN_LINE: Final = re.compile(r"(Create|Update|Delete)(AlertPolicy|NotificationChannel)")


def _permission(method: str) -> str:
    match = _METHOD.fullmatch(method)
    if match is None:
        return ""
    verb, noun = match[1].lower(), _PLURALS.get(match[2], match[2])
    return f"{_NOUNS[noun]}.{verb}" if noun in _NOUNS else ""


PERMISSIONS: Final = tuple(
    f"{prefix}.{verb}" for prefix in _NOUNS.values() for verb in ("create", "delete", "get", "list", "update")
)
"""Every permission that a call here may need."""


def carry_out(store: Store, method: str, call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the answer of a call.

    Args:
        store: whose faults decide.
        method: the RPC's full name, ``/SERVICE/METHOD``.
        call: carries it out.

    Raises:
        Refused: the call is denied, made to fail, or refused by what carries it out.
    """
    name = method.rpartition("/")[2]
    failure = store.faults.called(name)
    permission = _permission(name)
    if permission in store.faults.denied:
        message = f"Permission {permission!r} denied on resource (or it may not exist)."
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, message)
    if failure is not None and not failure.is_after:
        raise _refused(failure)
    if _IN_LINE.fullmatch(name):
        with store.faults.in_line() as has_turn:
            if not has_turn:
                message = "Too many concurrent edits to the project configuration. Please try again."
                raise Refused(grpc.StatusCode.ABORTED, message)
            if store.faults.write_takes_s:
                time.sleep(store.faults.write_takes_s)
            answer = call()
    else:
        answer = call()
    if failure is not None:
        raise _refused(failure)
    return answer


def _refused(failure: Failure) -> Refused:
    details = []
    if failure.retry_after_s:
        told = error_details_pb2.RetryInfo()
        told.retry_delay.FromMilliseconds(round(failure.retry_after_s * 1000))
        details.append(told)
    return Refused(grpc.StatusCode[failure.code], failure.message, details)
