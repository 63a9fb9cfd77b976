"""LoggingServiceV2: entries written and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.cloud.logging_v2 import types
from google.protobuf import json_format
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
_MOST_PAGE: Final = 1000


def write_log_entries(store: Store, request: Any) -> Answer:
    """Write log entries."""
    documents = [json_format.MessageToDict(entry) for entry in request.entries]
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
    return {"entries": page, "nextPageToken": token}


def _is_newest_first(order_by: str) -> bool:
    if order_by not in {"", "timestamp", "timestamp asc", "timestamp desc"}:
        raise invalid("Field order_by must be timestamp asc or timestamp desc.")
    return order_by == "timestamp desc"


def list_logs(store: Store, request: Any) -> Answer:
    """Return the names of the logs that have entries."""
    page, token = page_of(store.logs.names(), request.page_size, request.page_token)
    return {"logNames": list(page), "nextPageToken": token}
