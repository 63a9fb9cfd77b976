"""Firestore on loopback, over gRPC, as far as the budgets speak with it: for the unmodified client of Google.

Transactions are optimistic, as in a database of that kind: a commit whose documents have changed since they were read
is ABORTED. The server's clock stands on what is read and committed.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Self

import grpc
from google.cloud.firestore_v1.types import document, firestore, write

SERVICE = "google.firestore.v1.Firestore"


class FirestoreServer:
    """The server; a context manager.

    Args:
        clock: seconds since the epoch, as the server's clock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.asked: Counter[str] = Counter()
        self.aborts = 0
        self.documents: dict[str, tuple[int, Any]] = {}
        self._reads: dict[bytes, dict[str, int]] = {}
        self._ids, self._versions = itertools.count(1), itertools.count(1)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(32)
        self._server = grpc.server(self._pool)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()
        self._pool.shutdown()

    def _handlers(self) -> dict[str, Any]:
        def unary(method: Callable[..., Any], request: Any, response: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(method, request.deserialize, response.serialize)

        return {
            "BeginTransaction": unary(
                self.begin, firestore.BeginTransactionRequest, firestore.BeginTransactionResponse
            ),
            "BatchGetDocuments": grpc.unary_stream_rpc_method_handler(
                self.get, firestore.BatchGetDocumentsRequest.deserialize, firestore.BatchGetDocumentsResponse.serialize
            ),
            "Commit": unary(self.commit, firestore.CommitRequest, firestore.CommitResponse),
            "Rollback": grpc.unary_unary_rpc_method_handler(
                self.rollback, firestore.RollbackRequest.deserialize, lambda _: b""
            ),
        }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def begin(self, _request: Any, _context: Any) -> Any:
        with self._lock:
            self.asked["begin"] += 1
            name = f"transaction-{next(self._ids)}".encode()
            self._reads[name] = {}
        return firestore.BeginTransactionResponse(transaction=name)

    def get(self, request: Any, context: Any) -> Iterator[Any]:
        for name in request.documents:
            with self._lock:
                self.asked["get"] += 1
                if request.transaction not in self._reads:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the transaction is unknown, or has ended")
                version, fields = self.documents.get(name, (0, None))
                self._reads[request.transaction].setdefault(name, version)
            found: dict[str, Any] = {"missing": name}
            if fields is not None:
                stamp = self._now()
                made = document.Document(name=name, fields=fields, create_time=stamp, update_time=stamp)
                found = {"found": made}
            yield firestore.BatchGetDocumentsResponse(read_time=self._now(), **found)

    def commit(self, request: Any, context: Any) -> Any:
        with self._lock:
            self.asked["commit"] += 1
            seen = self._reads.pop(request.transaction, None)
            if seen is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the transaction is unknown, or has ended")
            is_late = any(self.documents.get(name, (0, None))[0] != version for name, version in seen.items())
            if is_late or self.aborts:
                self.aborts = max(0, self.aborts - 1)
                self.asked["aborted"] += 1
                context.abort(grpc.StatusCode.ABORTED, "Too much contention on these documents. Please try again.")
            for each in request.writes:
                self.documents[each.update.name] = (next(self._versions), dict(each.update.fields))
        results = [write.WriteResult(update_time=self._now()) for _ in request.writes]
        return firestore.CommitResponse(write_results=results, commit_time=self._now())

    def rollback(self, request: Any, _context: Any) -> Any:
        with self._lock:
            self.asked["rollback"] += 1
            self._reads.pop(request.transaction, None)
        return b""
