"""The two example services under real servers, as `obskit run` would start them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from obskit.demo.traffic import CHATBOT, SHOP
from obskit.local.run import Backend, ManagedProcess, child_environment

__all__ = ["Services", "clean_environment"]

_HOST = "127.0.0.1"
_START_S = 40.0
_FOREIGN = ("OBSKIT_", "OTEL_", "SENTRY_", "GOOGLE_", "GCLOUD_", "GEMINI_", "HEALTH_", "REDIS_", "K_")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would lead the demo's telemetry or calls elsewhere."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_FOREIGN) and not key.upper().endswith("_PROXY")
    }


class Services:
    """Chatbot and shop. A context manager: on leaving, both have ended, with their children.

    Args:
        python: runs them.
        folder: holds ``fastapi_app`` and ``flask_app``.
        backend: receives telemetry and log lines.
        gemini_url: where the chatbot finds Gemini.
        model: the model that the chatbot asks for.
        fallback: the one that it asks where that one does not answer.
        export_interval: time between two exports, as a setting's text.
        circuit_open: how long the chatbot's circuits stay open before their first probe, as a setting's text.
    """

    def __init__(
        self,
        *,
        python: Path,
        folder: Path,
        backend: Backend,
        gemini_url: str,
        model: str,
        fallback: str,
        export_interval: str,
        circuit_open: str,
    ) -> None:
        self._python, self._folder, self._backend = python, folder, backend
        self._settings = {
            "OBSKIT_METRIC_EXPORT_INTERVAL": export_interval,
            "OBSKIT_TRACE_EXPORT_INTERVAL": export_interval,
            "OBSKIT_ENVIRONMENT": "demo",
            "OBSKIT_LOG_FORMAT": "json",
            "GEMINI_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": gemini_url,
            "GEMINI_MODEL": model,
            "GEMINI_FALLBACK": fallback,
            # Time runs about 40 times as fast, so that is a minute of a usual project.
            "GEMINI_RPM": "3000",
            "GEMINI_TPM": "100000000",
            "GEMINI_CIRCUIT_OPEN": circuit_open,
            "HEALTH_INTERVAL": "1s",
        }
        self.addresses: dict[str, tuple[str, int]] = {}
        self.processes: dict[str, ManagedProcess] = {}

    def __enter__(self) -> Self:
        chatbot, shop = _free_port(), _free_port()
        self.addresses = {CHATBOT: (_HOST, chatbot), SHOP: (_HOST, shop)}
        try:
            self._start(SHOP, _shop_command(shop), {})
            self._start(CHATBOT, _chatbot_command(chatbot), {"SHOP_URL": f"http://{_HOST}:{shop}"})
            for service, (_, port) in self.addresses.items():
                self.processes[service].wait_for_port(port, timeout_s=_START_S)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, service: str, command: list[str], settings: Mapping[str, str]) -> None:
        folder = self._folder / ("fastapi_app" if service == CHATBOT else "flask_app")
        environ = {**clean_environment(), **self._settings, **settings}
        self.processes[service] = ManagedProcess(
            [str(self._python), *command],
            child_environment(self._backend, environ=environ),
            self._backend,
            service,
            cwd=folder,
            is_passed_through=False,
        )

    @property
    def lines(self) -> dict[str, int]:
        """How many lines each service has written."""
        return {service: process.lines for service, process in self.processes.items()}

    @property
    def lost_lines(self) -> int:
        """How many of their lines did not reach the backend."""
        return sum(process.lost for process in self.processes.values())

    def ended(self) -> str:
        """Return what is to be said about a service that has ended by itself, or nothing."""
        for service, process in self.processes.items():
            code = process.poll()
            if code is not None:
                return f"{service} has ended with exit code {code}; its last lines:\n{process.tail}"
        return ""

    def stop(self) -> dict[str, int]:
        """End both, the chatbot first, and return their exit codes. Safe to call again."""
        return {service: self.processes[service].stop() for service in (CHATBOT, SHOP) if service in self.processes}


def _chatbot_command(port: int) -> list[str]:
    return ["-m", "uvicorn", "main:app", "--host", _HOST, "--port", str(port), "--no-access-log"]


def _shop_command(port: int) -> list[str]:
    return ["-m", "gunicorn", "main:app", "--bind", f"{_HOST}:{port}", "-c", "python:obskit.demo.gunicorn_settings"]


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
