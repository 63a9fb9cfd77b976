"""Firestore in memory, as far as the budgets speak with it: the client's interface, its transactions and its clock."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from obskit.testing import FixedClock


@dataclass
class Timed:
    """A store whose clock the test moves."""

    store: Any
    clock: FixedClock


class Aborted(Exception):
    """Another transaction was faster, as `google.api_core.exceptions.Aborted` says."""


@dataclass
class Snapshot:
    read_time: datetime
    data: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any] | None:
        return copy.deepcopy(self.data)


class Reference:
    def __init__(self, client: FirestoreTwin, path: str) -> None:
        self.client, self.path = client, path

    def get(self, *, transaction: Transaction, timeout: float) -> Snapshot:
        assert timeout > 0
        return transaction.read(self.path)


class Collection:
    def __init__(self, client: FirestoreTwin, name: str) -> None:
        self.client, self.name = client, name

    def document(self, key: str) -> Reference:
        assert key
        assert "/" not in key
        return Reference(self.client, f"{self.name}/{key}")


class Transaction:
    """Optimistic: what it has read must not have changed when it commits."""

    def __init__(self, client: FirestoreTwin) -> None:
        self.client = client
        self.begin()

    def begin(self) -> None:
        self.seen: dict[str, int] = {}
        self.writes: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> Snapshot:
        assert not self.writes, "Firestore wants reads before writes"
        with self.client.lock:
            version, data = self.client.documents.get(path, (0, None))
            self.seen[path] = version
            return Snapshot(datetime.fromtimestamp(self.client.clock(), UTC), copy.deepcopy(data))

    def set(self, reference: Reference, data: dict[str, Any]) -> None:
        self.writes[reference.path] = copy.deepcopy(data)

    def commit(self) -> None:
        with self.client.lock:
            for path, version in self.seen.items():
                if self.client.documents.get(path, (0, None))[0] != version:
                    raise Aborted(path)
            for path, data in self.writes.items():
                self.client.documents[path] = (self.seen.get(path, 0) + 1, data)


class FirestoreTwin:
    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = threading.Lock()
        self.documents: dict[str, tuple[int, dict[str, Any] | None]] = {}

    def collection(self, name: str) -> Collection:
        return Collection(self, name)

    def transaction(self) -> Transaction:
        return Transaction(self)


def transactional(change: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function in a transaction, and again where another was faster; the real one gives up after five."""

    def run(transaction: Transaction) -> Any:
        for _ in range(1000):
            transaction.begin()
            result = change(transaction)
            try:
                transaction.commit()
            except Aborted:
                continue
            return result
        raise Aborted("a thousand times")

    return run
