"""LoggingServiceV2: entries written and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]
from google.cloud.logging_v2 import types
from google.protobuf import any_pb2, json_format
from google.rpc import status_pb2

from obskit.errors import QueryError
from obskit.local.ingest.entries import EntryRefused, write_entries
from obskit.local.rpc.failure import Refused, invalid
from obskit.local.rpc.paging import page_of, start_of
from obskit.local.store import Store

__all__ = ["list_log_entries", "list_logs", "write_log_entries"]

Answer = Mapping[str, Any]
_INVALID_ARGUMENT: Final = 3
_PAGE: Final = 50
_AUDIT_LOG: Final = audit_log_pb2.AuditLog.DESCRIPTOR.full_name
_MOST_PAGE: Final = 1000


def write_log_entries(store: Store, request: Any) -> Answer:
    """Write log entries."""
    try:
        documents = [json_format.MessageToDict(entry) for entry in request.entries]
    except (TypeError, json_format.Error) as error:  # the type of a protoPayload
        raise invalid(f"An entry cannot be read: {error}. protoPayload is taken of {_AUDIT_LOG} here.") from error
    resource = json_format.MessageToDict(request.resource) if request.HasField("resource") else None
    if request.dry_run:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "The local backend does not try writes without doing them.")
    try:
        write_entries(
            store,
            documents,
            log_name=request.log_name,
            resource=resource,
            labels=dict(request.labels),
            is_partial=request.partial_success,
        )
    except EntryRefused as error:
        errors = types.WriteLogEntriesPartialErrors.pb()()
        for index in error.indices:
            errors.log_entry_errors[index].CopyFrom(status_pb2.Status(code=_INVALID_ARGUMENT, message="refused"))
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error), [errors]) from error
    return {}


def list_log_entries(store: Store, request: Any) -> Answer:
    """Return log entries that fit a filter."""
    if not request.resource_names:
        raise invalid("Field resource_names is required.")
    size = min(request.page_size or _PAGE, _MOST_PAGE)
    try:
        found = store.logs.entries(
            filter=request.filter,
            limit=start_of(request.page_token) + size + 1,
            newest_first=_is_newest_first(request.order_by),
        )
    except QueryError as error:
        raise invalid(str(error)) from error
    page, token = page_of(found, size, request.page_token)
    for entry in page:
        _refuse_unknown(entry.get("protoPayload") or {})
    return {"entries": page, "nextPageToken": token}


def _refuse_unknown(payload: Mapping[str, Any]) -> None:
    """A payload of a type that is not known here cannot be put into a message of protobuf's."""
    try:
        json_format.ParseDict(dict(payload), any_pb2.Any(), ignore_unknown_fields=True)
    except (TypeError, json_format.Error) as error:
        text = f"An entry's protoPayload of type {payload.get('@type')} cannot be given over gRPC here; ask over HTTP."
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, text) from error


def _is_newest_first(order_by: str) -> bool:
    if order_by not in {"", "timestamp", "timestamp asc", "timestamp desc"}:
        raise invalid("Field order_by must be timestamp asc or timestamp desc.")
    return order_by == "timestamp desc"


def list_logs(store: Store, request: Any) -> Answer:
    """Return the names of the logs that have entries."""
    page, token = page_of(store.logs.names(), request.page_size, request.page_token)
    return {"logNames": list(page), "nextPageToken": token}
