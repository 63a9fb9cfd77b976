"""What could not be delivered, on disk: it survives a restart, and any process of the service may deliver it.

A file is one batch of one signal for one destination. It is written under another name and renamed when it is
whole, and it carries a checksum; so one that was cut short by a kill or a power failure is never delivered. Who
delivers a file holds a lock on it, which ends with the process, so no two processes deliver the same one.
"""

from __future__ import annotations

import os
import re
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from obskit.signals.delivery import SIGNALS, Outcome
from obskit.signals.lanes import MOST_PAUSE_S, backoff_s
from obskit.signals.records import packed, unpacked

if TYPE_CHECKING:
    from obskit.signals.delivery import Destination

__all__ = ["Claim", "Spool", "Store"]

MAX_AGE_S: Final = 24 * 3600.0  # Cloud Monitoring takes no point that is older
LOOK_S: Final = 10.0
_LOCK_WAIT_S: Final = 0.5
_MAGIC: Final = b"obskit1"
_NAME: Final = re.compile(r"(?P<destination>[a-z0-9_]+)-(?P<signal>[a-z]+)-(?P<count>\d+)-\d+-\d+-[0-9a-f]+\.spool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A file that this process alone may deliver, until it says `done` or `release`.

    Attributes:
        name: of the file.
        signal: what is in it.
        count: how many items.
        items: the batch; None when the file is damaged.
        is_expired: whether it is too old to be delivered.
    """

    name: str
    signal: str
    count: int
    items: list[Any] | None
    is_expired: bool
    path: Path
    handle: int

    def done(self) -> None:
        """Delete the file."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Let others have it."""
        _unlock(self.handle)


class Spool:
    """A folder of undelivered batches, shared by the processes of a service.

    Args:
        directory: made with mode 0700 when it is missing; its files have 0600.
        cap_bytes: most bytes of all files together.
        wall: seconds since the epoch.
    """

    def __init__(self, directory: str, cap_bytes: int, wall: Callable[[], float] = time.time) -> None:
        self.directory = Path(directory)
        self._cap_bytes = cap_bytes
        self._wall = wall

    def write(self, destination: str, signal: str, batch: Sequence[Any]) -> str | None:
        """Put a batch on disk.

        Returns:
            The file's name, None when there is no room for it.

        Raises:
            OSError: the folder cannot be written.
        """
        body = zlib.compress(packed(signal, batch), 1)
        data = b"%s %08x %d\n%s" % (_MAGIC, zlib.crc32(body), len(body), body)
        stamp = f"{int(self._wall() * 1e9):020d}-{os.getpid()}-{secrets.token_hex(4)}"
        name = f"{destination}-{signal}-{len(batch)}-{stamp}.spool"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._writing():
            if self._used_bytes() + len(data) > self._cap_bytes:
                return None
            part = self.directory / f"{name}.part"
            try:
                _write(part, data)
                part.rename(self.directory / name)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        return name

    def has_files(self) -> bool:
        """Return whether there is anything to deliver, for any destination."""
        return bool(self._names())

    def has(self, name: str) -> bool:
        """Return whether a file has not been delivered yet."""
        return (self.directory / name).exists()

    def claim(self, destination: Destination) -> Claim | None:
        """Return the oldest batch for a destination that nobody else has claimed."""
        for name in self._names():
            match = _NAME.fullmatch(name)
            if match and match["destination"] == destination.name and match["signal"] in destination.handles:
                claim = self._claim(self.directory / name, match["signal"], int(match["count"]))
                if claim is not None:
                    return claim
        return None

    def _claim(self, path: Path, signal: str, count: int) -> Claim | None:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # delivered by another process, or not ours to read
            return None
        status = os.fstat(handle)
        if not _lock(handle) or not os.fstat(handle).st_nlink or status.st_uid != os.geteuid():
            os.close(handle)
            return None
        return Claim(
            name=path.name,
            signal=signal,
            count=count,
            items=_read(handle, status.st_size, signal, count),
            is_expired=self._wall() - status.st_mtime > MAX_AGE_S,
            path=path,
            handle=handle,
        )

    def _names(self) -> list[str]:
        try:
            found = [path.name for path in self.directory.iterdir() if path.suffix == ".spool"]
        except OSError:
            return []
        return sorted(found, key=lambda name: name.split("-")[3:])

    def _used_bytes(self) -> int:
        used = 0
        for entry in os.scandir(self.directory):
            if entry.name.endswith(".part"):  # nobody is writing: its writer was killed
                Path(entry.path).unlink(missing_ok=True)
                continue
            with suppress(FileNotFoundError):
                used += entry.stat(follow_symlinks=False).st_size
        return used

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let one process write at a time, so that the folder keeps its size."""
        handle = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not _lock(handle):
            if time.monotonic() > deadline:
                os.close(handle)
                raise TimeoutError(0, "another process is writing, and does not go on")
            time.sleep(0.005)
        try:
            yield
        finally:
            _unlock(handle)


def _lock(handle: int) -> bool:
    import fcntl  # noqa: PLC0415 - not there on Windows, where only this is missing then

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(handle: int) -> None:
    import fcntl  # noqa: PLC0415 - as above

    # Explicitly: a child that was forked in between has the same handle, and would keep the lock.
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)


def _read(handle: int, size: int, signal: str, count: int) -> list[Any] | None:
    data = b""
    while len(data) < size and (piece := os.read(handle, size - len(data))):
        data += piece
    head, _, body = data.partition(b"\n")
    try:
        magic, checksum, length = head.split(b" ")
        if magic != _MAGIC or int(length) != len(body) or int(checksum, 16) != zlib.crc32(body):
            return None
        items = unpacked(signal, zlib.decompress(body))
    except (ValueError, zlib.error):
        return None
    return items if len(items) == count else None


class Store:
    """One destination's part of a spool, as this process uses it.

    Attributes:
        sent: items delivered from disk, by signal.
        lost: items given up, by signal and reason.
    """

    def __init__(self, spool: Spool) -> None:
        self.sent: Counter[str] = Counter()
        self.lost: Counter[tuple[str, str]] = Counter()
        self._spool = spool
        self._own: dict[str, tuple[str, int]] = {}
        self._attempt = 0
        self._not_before = 0.0
        self._asked_until = 0.0

    def waiting(self) -> dict[str, int]:
        """Return how many items this process has put on disk that nobody has delivered, by signal."""
        counts = dict.fromkeys(SIGNALS, 0)
        for name, (signal, count) in tuple(self._own.items()):
            if self._spool.has(name):
                counts[signal] += count
            else:
                self._own.pop(name, None)
        return counts

    def keep(self, destination: str, signal: str, batch: Sequence[Any]) -> bool:
        """Put a batch on disk, and return whether there was room.

        Raises:
            OSError: the folder cannot be written.
        """
        name = self._spool.write(destination, signal, batch)
        if name is not None:
            self._own[name] = (signal, len(batch))
        return name is not None

    def due_in_s(self, now: float) -> float:
        """Return the seconds until it is time to deliver, or to look whether there is something to."""
        if now >= self._not_before and not self._spool.has_files():
            self._not_before = now + LOOK_S
        return max(0.0, self._not_before - now)

    def hurry(self) -> None:
        """Let go of the store's own patience, not of the pause that the destination asked for; time is running out."""
        self._attempt, self._not_before = 0, min(self._not_before, self._asked_until)

    def deliver(
        self,
        destination: Destination,
        sender: Callable[[str], Callable[[Sequence[Any]], Outcome]],
        *,
        clock: Callable[[], float],
        pressed: Callable[[], bool],
    ) -> None:
        """Deliver what is on disk for a destination, until nothing is left or one batch must wait.

        Args:
            destination: loaded.
            sender: returns what delivers a batch of a signal.
            clock: monotonic seconds.
            pressed: whether the thread is wanted elsewhere; asked between two batches.
        """
        while clock() >= self._not_before and not pressed():
            claim = self._spool.claim(destination)
            if claim is None:
                self._attempt, self._not_before = 0, clock() + LOOK_S
                return
            outcome = self._settle(claim, destination.name, sender(claim.signal))
            if outcome.retry_after_s is None:
                self._attempt = 0
            else:
                self._attempt += 1
                asked_s = min(outcome.retry_after_s, MOST_PAUSE_S)
                self._asked_until = clock() + asked_s
                self._not_before = clock() + backoff_s(self._attempt, asked_s)

    def _settle(self, claim: Claim, destination: str, send: Callable[[Sequence[Any]], Outcome]) -> Outcome:
        if claim.items is None or claim.is_expired:
            self.lost[claim.signal, "damaged" if claim.items is None else "expired"] += claim.count
            claim.done()
            return Outcome()
        outcome = send(claim.items)
        settled = outcome.delivered + outcome.lost
        if settled == 0 and outcome.retry_after_s is not None:
            claim.release()
            return outcome
        rest = claim.items[settled:]
        self.sent[claim.signal] += outcome.delivered
        if outcome.retry_after_s is None or not self._is_kept(destination, claim.signal, rest):
            self.lost[claim.signal, outcome.reason or "rejected"] += len(rest)
        self.lost[claim.signal, outcome.reason or "rejected"] += outcome.lost
        claim.done()
        self._own.pop(claim.name, None)
        return outcome

    def _is_kept(self, destination: str, signal: str, rest: Sequence[Any]) -> bool:
        try:
            return not rest or self.keep(destination, signal, rest)
        except OSError:
            return False
