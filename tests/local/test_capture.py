"""Lines of a process become the log entries that Cloud Run would make of them."""

from __future__ import annotations

import io
import json
import threading

import pytest

from obskit.local.capture import MAX_LINE_BYTES, LineForwarder, LogSource, entry_from_line, split_lines

FRAME = LogSource(project="p", service_name="shop").frame("stdout")
NOON_NS = 1_790_000_000_123_456_789


def entry(line: bytes | dict) -> dict:
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    made = entry_from_line(raw, frame=FRAME, time_ns=NOON_NS)
    assert made is not None
    return made


def test_plain_line_is_text():
    """A line that is no JSON object becomes textPayload with the time it was read."""
    made = entry(b"hello\r\n")
    assert made["textPayload"] == "hello"
    assert made["timestamp"] == "2026-09-21T14:13:20.123456789Z"
    assert made["logName"] == "projects/p/logs/run.googleapis.com%2Fstdout"
    assert made["resource"]["type"] == "cloud_run_revision"
    assert made["resource"]["labels"]["service_name"] == "shop"


def test_special_fields_move_to_the_entry():
    """Special fields leave the payload and stand in the entry; the others stay."""
    made = entry(
        {
            "severity": "warning",
            "message": "slow",
            "time": "2026-11-21T05:00:00.5Z",
            "httpRequest": {"status": 200},
            "logging.googleapis.com/trace": "projects/p/traces/" + "a" * 32,
            "logging.googleapis.com/spanId": "b" * 16,
            "logging.googleapis.com/trace_sampled": True,
            "logging.googleapis.com/labels": {"k": "v"},
            "user_id": "u1",
        }
    )
    assert made["severity"] == "WARNING"
    assert made["timestamp"] == "2026-11-21T05:00:00.5Z"
    assert made["httpRequest"] == {"status": 200}
    assert made["trace"].endswith("a" * 32)
    assert made["spanId"] == "b" * 16
    assert made["traceSampled"] is True
    assert made["labels"] == {"k": "v"}
    assert made["jsonPayload"] == {"message": "slow", "user_id": "u1"}


def test_lone_message_is_text():
    """When only the message is left, the entry is text."""
    made = entry({"severity": "INFO", "message": "just this"})
    assert made["textPayload"] == "just this"
    assert "jsonPayload" not in made


@pytest.mark.parametrize(
    "line",
    [
        {"message": "m", "time": "yesterday", "n": 1},
        {"message": "m", "httpRequest": "GET /", "n": 1},
        {"message": "m", "logging.googleapis.com/labels": [1], "n": 1},
    ],
)
def test_special_fields_of_another_type_stay(line):
    """A special field that has not its type is ordinary data."""
    assert entry(line)["jsonPayload"] == line


def test_unknown_severity_is_default():
    """A severity that Cloud Logging does not know becomes DEFAULT."""
    assert entry({"severity": "LOUD", "a": 1})["severity"] == "DEFAULT"


@pytest.mark.parametrize("line", [b"{broken", b"[1, 2]", b'{"a": NaN' + b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_object_is_text(line):
    """Broken JSON, other JSON, deep nesting and broken UTF-8 are text and raise nothing."""
    assert "textPayload" in entry(line)


def test_blank_lines_make_no_entry():
    """Blank lines are not logged."""
    assert entry_from_line(b"  \n", frame=FRAME, time_ns=0) is None


def test_lines_are_split_and_passed_on_unchanged():
    """Lines are cut at newlines wherever the pieces fall, and the bytes passed on are the bytes read."""
    stream = io.BytesIO(b"one\ntwo\r\nthree")
    seen = bytearray()
    assert list(split_lines(lambda _: stream.read(5), tee=seen.extend)) == [b"one", b"two\r", b"three"]
    assert bytes(seen) == b"one\ntwo\r\nthree"


def test_endless_line_is_cut():
    """A line without an end is cut at the size of the largest entry."""
    stream = io.BytesIO(b"x" * (2 * MAX_LINE_BYTES + 10))
    assert [len(line) for line in split_lines(stream.read)] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 10]


class Sink:
    """An in-memory backend that can be down for the first calls."""

    def __init__(self, *, failures: int = 0, error: type[Exception] = ConnectionRefusedError) -> None:
        self.entries: list[dict] = []
        self.calls = 0
        self._failures = failures
        self._error = error

    def write_entries(self, entries):
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error("down")
        self.entries += entries


def test_forwarder_delivers_in_order():
    """All entries arrive, in order, before close returns."""
    sink = Sink()
    forwarder = LineForwarder(sink)
    for number in range(1200):
        forwarder.submit({"n": number})
    assert forwarder.close()
    assert [each["n"] for each in sink.entries] == list(range(1200))
    assert (forwarder.sent, forwarder.lost) == (1200, 0)


def test_forwarder_tries_again():
    """A backend that is away for a moment loses nothing."""
    sink = Sink(failures=2)
    forwarder = LineForwarder(sink)
    forwarder.submit({"n": 1})
    assert forwarder.close()
    assert sink.entries == [{"n": 1}]


@pytest.mark.parametrize("error", [ConnectionRefusedError, RuntimeError])
def test_forwarder_counts_what_it_loses(error):
    """Entries that a backend refuses or never takes are counted, with the reason."""
    forwarder = LineForwarder(Sink(failures=99, error=error))
    forwarder.submit({"n": 1})
    assert not forwarder.close()
    assert forwarder.lost == 1
    assert "down" in forwarder.problem


def test_full_queue_drops_and_counts():
    """A backend that hangs never blocks the process: what does not fit is dropped and counted."""
    release = threading.Event()

    class Slow(Sink):
        def write_entries(self, entries):
            release.wait(10)
            super().write_entries(entries)

    forwarder = LineForwarder(Slow(), capacity=10)
    for number in range(2000):
        forwarder.submit({"n": number})
    release.set()
    forwarder.close()
    assert forwarder.lost > 0
    assert forwarder.sent + forwarder.lost == 2000
