"""Elastic's transport with its queue, JSON and compression, that sends nothing."""

from __future__ import annotations

from typing import Any

import peers
from elasticapm.transport.base import Transport


class Nothing(Transport):
    """Takes everything."""

    def queue(self, event_type: Any, data: Any, flush: bool = False) -> None:
        peers.COUNTS["spans"] += event_type in {"transaction", "span"}
        super().queue(event_type, data, flush)

    def send(self, data: bytes, forced_flush: bool = False) -> None:
        pass
