"""Where the process runs: whether that is Google Cloud, and what its metadata server says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["ask", "machine_sign", "metadata_host", "product_name", "service_sign"]

_SERVICES: Final = (
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "CLOUD_RUN_WORKER_POOL",
    "GAE_ENV",
    "GAE_SERVICE",
    "FUNCTION_TARGET",
)
_METADATA: Final = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT")
_PRODUCT_NAME: Final = Path("/sys/class/dmi/id/product_name")
# Its address, which needs no name server: where there is none, a look-up of metadata.google.internal may take long.
_ADDRESS: Final = "169.254.169.254"
_ROOT: Final = "/computeMetadata/v1/"
_FLAVOR: Final = {"Metadata-Flavor": "Google"}
_MOST_CHARS: Final = 20_000


def service_sign(environ: Mapping[str, str]) -> str:
    """Return the variable that says that this is one of Google Cloud's services for apps; empty where none does."""
    return next((name for name in _SERVICES if environ.get(name)), "")


def machine_sign(environ: Mapping[str, str], product: str | None = None) -> str:
    """Return what says that this is a machine of Google Cloud's, or a pod on one; empty where nothing does.

    It goes by what google-auth goes by, less its call to find out. CI runs are on such machines, too, and serve nobody.

    Args:
        environ: the environment; ``NO_GCE_CHECK=true`` is google-auth's own way to say no.
        product: what the machine's firmware calls it; read from it by default.
    """
    if environ.get("CI") or environ.get("NO_GCE_CHECK") == "true":
        return ""
    named = next((name for name in _METADATA if environ.get(name)), "")
    if named:
        return named
    product = product_name() if product is None else product
    return f"the machine ({product})" if product.startswith("Google") else ""


def product_name() -> str:
    """Return what the machine's firmware calls it; empty where that cannot be told."""
    try:
        return _PRODUCT_NAME.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def metadata_host(environ: Mapping[str, str]) -> str:
    """Return HOST or HOST:PORT of the metadata server."""
    return next((environ[name] for name in _METADATA if environ.get(name)), _ADDRESS)


def ask(host: str, path: str, timeout_s: float) -> str:
    """Ask the metadata server, without a proxy; an empty text means that it has no answer.

    Args:
        host: HOST or HOST:PORT.
        path: what is asked for, e.g. ``project/project-id``.
        timeout_s: longest wait for each step.

    Raises:
        OSError: nobody answers.
        http.client.HTTPException: what answers does not speak HTTP.
        ValueError: somebody else answers.
    """
    import http.client  # noqa: PLC0415 - most processes never ask

    connection = http.client.HTTPConnection(host, timeout=timeout_s)
    try:
        connection.request("GET", _ROOT + path, headers=_FLAVOR)
        response = connection.getresponse()
        body = response.read(_MOST_CHARS).decode("utf-8", "replace").strip()
        if response.headers.get("Metadata-Flavor") != "Google":
            raise ValueError("something else than Google's metadata server answers there")
        return body if response.status == 200 else ""
    finally:
        connection.close()
