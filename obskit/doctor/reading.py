"""Reads the test record back from a local backend."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import Any, Final

from obskit import catalog
from obskit.doctor.record import TestRecord
from obskit.local.run import RemoteBackend

__all__ = ["Reader", "find_backend"]

_PAUSE_S: Final = 0.05
_METRIC: Final = catalog.TELEMETRY_LOST


def find_backend(url: str, *, timeout_s: float = 1.0) -> RemoteBackend | None:
    """Return the local backend behind a URL of this machine, None where something else answers, or nothing."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return None
    try:
        return RemoteBackend.connect(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", timeout_s=timeout_s)
    except HTTPException:  # something that does not speak HTTP
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Looks for one test record in a local backend.

    Attributes:
        backend: that it was sent to.
        record: what was sent.
        route: of the exporter; it decides the metric's name.
    """

    backend: RemoteBackend
    record: TestRecord
    route: catalog.Route

    def wait_for(self, signal: str, deadline: float) -> bool:
        """Return whether a signal of the record is there before `deadline` on the monotonic clock."""
        look: Mapping[str, Callable[[], bool]] = {
            "spans": self._has_span,
            "metrics": self._has_point,
            "errors": self._has_error,
            "logs": self._has_line,
        }
        while True:
            if look[signal]():
                return True
            if time.monotonic() + _PAUSE_S >= deadline:
                return False
            time.sleep(_PAUSE_S)

    def _has_span(self) -> bool:
        found = self._get(f"/api/traces/{self.record.trace_id}") or {}
        return any(self.record.span_id in json.dumps(span) for span in found.get("spans") or ())

    def _has_line(self) -> bool:
        found = self._get(f"/api/traces/{self.record.trace_id}") or {}
        return bool(found.get("logs"))

    def _has_point(self) -> bool:
        now = datetime.now(UTC)
        query = {
            "filter": f'metric.type = "{_METRIC.metric_type(self.route)}"',
            "interval.startTime": (now - timedelta(minutes=10)).isoformat(),
            "interval.endTime": (now + timedelta(minutes=1)).isoformat(),
        }
        path = f"/v3/projects/{self.backend.project}/timeSeries?{urllib.parse.urlencode(query)}"
        return self.record.instance_id in json.dumps(self._get(path) or {})

    def _has_error(self) -> bool:
        # Through OTLP it is a log record, which becomes a log entry of its trace.
        found = self._get(f"/api/traces/{self.record.trace_id}") or {}
        if self.record.mark in json.dumps(found.get("logs") or ()):
            return True
        for group in (self._get("/api/errors") or {}).get("groups") or ():
            found = self._get(f"/api/errors/{group['id']}") or {}
            if any(self.record.mark in json.dumps(event) for event in found.get("events") or ()):
                return True
        return False

    def _get(self, path: str) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.backend.http_url + path, timeout=2.0) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return None
        except (OSError, ValueError, HTTPException):
            return None
