"""Google's credentials: which ones the clients will find, in the order in which google-auth looks for them.

Only names are taken from a credentials file: its kind, whose it is, which project it names. Nothing secret of it
is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obskit.doctor.findings import Finding, Kind, info, ok, problem, warning
from obskit.doctor.metadata import Metadata

__all__ = ["Credentials", "describe", "find"]

_VARIABLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_LOGIN: Final = "Run `gcloud auth application-default login`"
_KINDS: Final = {
    "service_account": "service account key",
    "authorized_user": "a person's credentials",
    "impersonated_service_account": "impersonation of a service account",
    "external_account": "workload identity federation",
    "external_account_authorized_user": "workforce identity federation",
    "gdch_service_account": "service account of Google Distributed Cloud",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What google-auth would find.

    Attributes:
        source: ``file`` (named by the environment), ``gcloud`` (its well-known file), ``metadata`` or ``none``.
        path: of the file.
        kind: the file's own ``type``.
        identity: the account's address, where that can be told without a call.
        project: that the credentials name.
        trouble: why they cannot be used; empty where they can, as far as can be told without a call.
    """

    source: str
    path: str = ""
    kind: str = ""
    identity: str = ""
    project: str = ""
    trouble: str = ""

    @property
    def are_usable(self) -> bool:
        """Whether it makes sense to try them."""
        return self.source != "none" and not self.trouble


def find(environ: Mapping[str, str], metadata: Metadata) -> Credentials:
    """Return the credentials that are in force."""
    if named := environ.get(_VARIABLE):
        return _from_file("file", Path(named))
    known = _well_known(environ)
    if known.is_file():
        return _from_file("gcloud", known)
    if metadata.is_reachable:
        return Credentials(source="metadata", identity=metadata.email, project=metadata.project)
    return Credentials(source="none")


def _well_known(environ: Mapping[str, str]) -> Path:
    folder = environ.get("CLOUDSDK_CONFIG")
    if not folder:
        folder = os.path.join(environ.get("HOME") or str(Path.home()), ".config", "gcloud")  # noqa: PTH118 - as gcloud's
    return Path(folder) / "application_default_credentials.json"


def _from_file(source: str, path: Path) -> Credentials:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Credentials(source=source, path=str(path), trouble="there is no such file")
    except OSError as error:
        return Credentials(source=source, path=str(path), trouble=f"cannot be read: {error.strerror}")
    except ValueError:
        return Credentials(source=source, path=str(path), trouble="is not JSON")
    kind = str(document.get("type", "")) if isinstance(document, dict) else ""
    if kind not in _KINDS:
        return Credentials(source=source, path=str(path), kind=kind, trouble="is not a credentials file of Google's")
    return Credentials(
        source=source,
        path=str(path),
        kind=kind,
        identity=_identity(document),
        project=str(document.get("project_id") or document.get("quota_project_id") or ""),
    )


def _identity(document: Mapping[str, Any]) -> str:
    url = str(document.get("service_account_impersonation_url") or "")
    if url:
        return url.rpartition("/")[2].removesuffix(":generateAccessToken")
    return str(document.get("client_email") or document.get("account") or "")


def describe(credentials: Credentials, *, is_needed: bool) -> list[Finding]:
    """Return what there is to say about them.

    Args:
        credentials: that were found.
        is_needed: whether an exporter needs them.
    """
    bad = problem if is_needed else warning
    if credentials.source == "none":
        if not is_needed:
            return [info(Kind.CREDENTIALS, "credentials", "no Google credentials; nothing here needs any")]
        text = "there are no Google credentials, and the exporter gcp needs some"
        way_out = f"{_LOGIN}, set {_VARIABLE}, or choose exporters=otlp or console"
        return [problem(Kind.CREDENTIALS, "credentials", text, way_out)]
    where = {"file": f"{credentials.path} ({_VARIABLE})", "gcloud": f"{credentials.path} (gcloud)"}
    if credentials.trouble:
        text = f"{where[credentials.source]}: {credentials.trouble}"
        way_out = f"Correct or remove {_VARIABLE}" if credentials.source == "file" else _LOGIN
        return [bad(Kind.CREDENTIALS, "credentials", text, way_out)]
    whose = f" {credentials.identity}" if credentials.identity else ""
    if credentials.source == "metadata":
        return [ok(Kind.CREDENTIALS, "credentials", f"service account{whose}, from the metadata server")]
    text = f"{_KINDS[credentials.kind]}{whose}, from {where[credentials.source]}"
    return [ok(Kind.CREDENTIALS, "credentials", text), *_remarks(credentials)]


def _remarks(credentials: Credentials) -> list[Finding]:
    if credentials.kind != "service_account":
        return []
    text = "a key file does not expire, and whoever copies it is that account"
    return [info(Kind.CREDENTIALS, "key file", text, "On Google Cloud attach the service account instead of a key")]
