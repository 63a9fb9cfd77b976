"""The soak's view of the service: what it prints, and how much memory its processes have."""

from __future__ import annotations

import json
import os
import re
import statistics
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from soak_collector import NUMBER

_STACK = re.compile(r"(Current thread|Thread) 0x|  File \"")


class Lines:
    """Reads what the server prints, for as long as it does, and keeps counts only."""

    def __init__(self, pipe: Any) -> None:
        self.access: Counter[int] = Counter()
        self.raised = 0
        self.cancelled = 0
        self.broken: list[str] = []
        self.lost: Counter[str] = Counter()
        self.others: list[str] = []
        self._pipe = pipe
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for raw in self._pipe:
            line = raw.decode(errors="replace").rstrip("\n")
            if not line.startswith("{"):
                self.others.append(line[:500])
                continue
            try:
                self._take(json.loads(line))
            except ValueError:
                self.broken.append(line[:500])

    def notable(self) -> list[str]:
        """Return what was printed beside JSON lines, and the warnings, without what is said of every run.

        That is what gunicorn says of its workers, and that an export which failed is tried again.
        """
        usual = re.compile(r"\[[^]]+\] \[\d+\] \[INFO\]|.*It is tried again\.$")
        return [line for line in dict.fromkeys(self.others) if not usual.match(line) and not _STACK.match(line)]

    def stacks(self) -> list[str]:
        """Return the stacks of all threads, where they were asked for."""
        return [line for line in self.others if _STACK.match(line)]

    def _take(self, entry: dict[str, Any]) -> None:
        if "httpRequest" in entry and (found := NUMBER.search(entry["httpRequest"]["requestUrl"])):
            self.access[int(found[1])] += 1
            self.cancelled += entry.get("cancelled", False)
            self.raised += entry.get("error_type") == "ValueError"
        elif entry["severity"] not in {"INFO", "DEBUG"} and "ASGI" not in entry["message"]:
            self.others.append(entry["message"][:500])
        said = entry["message"]
        if sign := 1 if "obskit did not deliver" in said else -1 if said.endswith("after all") else 0:
            for count, what in re.findall(r"(\d+) (span|metric point|error)s?\b", said):
                self.lost[what] += sign * int(count)


class Memory:
    """Follows the resident memory of the server's processes; a worker counts with what it came to before its end."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._begun = time.monotonic()
        self.workers: dict[int, tuple[float, float]] = {}
        self.parent_mib: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_over.wait(0.5):
            self.parent_mib.append(_resident_mib(self._parent))
            for pid in children(self._parent):
                mib, at_s = _resident_mib(pid), time.monotonic() - self._begun
                if mib:
                    self.workers[pid] = (self.workers.get(pid, (at_s, 0.0))[0], mib)

    def stop(self) -> dict[str, dict[str, float]]:
        """Return MiB at start, middle and end: the median of a fifth each of all workers, and of the parent's course."""
        self._is_over.set()
        self._thread.join()
        workers = [mib for _, mib in sorted(self.workers.values())]
        return {"workers": _course(workers), "parent": _course(self.parent_mib)}


def _course(values: list[float]) -> dict[str, float]:
    fifth = max(len(values) // 5, 1)
    middle = (len(values) - fifth) // 2
    return {
        "start": _median(values[:fifth]),
        "middle": _median(values[middle : middle + fifth]),
        "end": _median(values[-fifth:]),
        "most": max(values, default=0.0),
    }


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 1) if values else 0.0


def _resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has ended
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
