"""The bounded writer: whole lines, in order, without ever making the one who logs wait."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from obskit.exporters.memory import STORE
from obskit.signals import channels, outputs
from obskit.signals.outputs import Output

Process = Callable[..., Any]


class Pipe:
    """A pipe that takes standard output's place; `read` takes what is there, `close` ends the reading side."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, size_bytes: int = 65_536) -> None:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, size_bytes)
        monkeypatch.setattr(channels, "_PIPE_BYTES", size_bytes)
        self.stream = os.fdopen(writing, "w")
        self._monkeypatch = monkeypatch

    def output(self, **settings: Any) -> Output:
        """Return an output that writes to it from now on."""
        self._monkeypatch.setattr(sys, "stdout", self.stream)
        return Output(**settings)

    def read(self, most: int = 1 << 20) -> bytes:
        return os.read(self.reading, most)

    def drain(self, output: Output) -> list[bytes]:
        """Return all lines, of which the last is written while this reads."""
        pieces: list[bytes] = []

        def read_all() -> None:
            while piece := self.read():
                pieces.append(piece)

        reader = threading.Thread(target=read_all)
        reader.start()
        is_out = output.flush(20)
        self.stream.close()
        reader.join(20)
        assert is_out
        return b"".join(pieces).splitlines()

    def close(self) -> None:
        os.close(self.reading)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    made = Pipe(monkeypatch)
    yield made
    monkeypatch.undo()
    made.stream.close()


@pytest.fixture(params=["no wait", "poll"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without the flag that older kernels lack."""
    if request.param == "poll":
        monkeypatch.setattr(channels, "NO_WAIT", 0)
    return request.param


def lines(count: int, size: int = 1000) -> list[str]:
    return [f'{{"n":{number},"text":"{"x" * size}"}}\n' for number in range(count)]


def test_a_short_line_is_out_at_once(pipe: Pipe, kernel: str) -> None:
    """When `write` returns the line is in the pipe, after what was printed before, and no thread was made for it."""
    output = pipe.output()
    print("printed")
    output.write("a line\n")
    assert pipe.read() == b"printed\na line\n"
    assert output._thread is None


@pytest.mark.parametrize("size", [0, 4096, 200_000])
def test_nobody_waits_for_a_reader(pipe: Pipe, kernel: str, size: int) -> None:
    """More than a pipe holds is said while nobody reads; then it arrives whole and in order, by a thread."""
    output = pipe.output(buffer_bytes=100_000_000)
    said = lines(120, size or 1500)
    for line in said:
        output.write(line)
    assert output._waiting
    assert [line.decode() + "\n" for line in pipe.drain(output)] == said


def test_a_full_buffer_drops_and_tells(pipe: Pipe, process: Process, kernel: str) -> None:
    """Beyond its size the buffer takes nothing; drops are counted in the metric and told in a line where they happened."""
    handle = process()
    output = pipe.output(buffer_bytes=50_000)
    for line in lines(1000):
        output.write(line)
    assert output._waiting_bytes <= 50_000
    kept = [json.loads(line) for line in pipe.drain(output)]
    numbers = [line["n"] for line in kept[:-1]]
    assert numbers == list(range(len(numbers)))
    dropped = 1000 - len(numbers)
    assert kept[-1]["message"].startswith(f"obskit: {dropped} log lines (")
    handle.flush(5)
    assert lost("queue_full") == dropped


def lost(reason: str) -> int:
    data = STORE.metrics
    assert data is not None
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "obskit.telemetry.lost"
        for point in metric.data.data_points
    ]
    return sum(point.value for point in points if point.attributes["obskit.reason"] == reason)


def test_lines_after_a_stall_follow_the_notice(pipe: Pipe) -> None:
    """When half of the buffer is free again new lines are taken, after the notice of those that were not."""
    output = pipe.output(buffer_bytes=50_000)
    for line in lines(1000):
        output.write(line)
    while output._waiting_bytes > 20_000:
        pipe.read(4096)
        time.sleep(0)
    output.write('{"n":"after"}\n')
    found = pipe.drain(output)
    assert b"were dropped" in found[-2]
    assert found[-1] == b'{"n":"after"}'


def test_flush_and_finish_tell_the_truth(pipe: Pipe) -> None:
    """While nobody reads, `flush` gives up at its time and `finish` soon after nothing moves; nothing is lost by it."""
    output = pipe.output()
    said = lines(200)
    for line in said:
        output.write(line)
    assert not output.flush(0.05)
    assert not output.finish(0.05)
    assert len(pipe.drain(output)) == 200
    assert output.flush(0)
    assert output.finish(0)


def test_a_reader_that_goes_costs_only_lines(pipe: Pipe, process: Process) -> None:
    """Where the reader is gone each line is counted as lost, also those that waited, and nothing is raised."""
    handle = process()
    output = pipe.output()
    for line in lines(100):
        output.write(line)
    pipe.close()
    output.write("more\n")
    assert output.flush(10)
    handle.flush(5)
    assert lost("not_written") >= 2


def test_another_process_in_the_middle_of_a_line(pipe: Pipe) -> None:
    """While another process has the pipe's lock a line waits, and is written as soon as the lock is free."""
    code = "import os,sys; os.lockf(1, os.F_LOCK, 0); sys.stderr.write('x'); sys.stderr.flush(); sys.stdin.read()"
    streams = {"stdin": subprocess.PIPE, "stdout": pipe.stream, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **streams) as other:  # type: ignore[call-overload]
        assert other.stderr.read(1) == b"x"
        output = pipe.output()
        output.write("a line\n")
        assert output._waiting
        os.set_blocking(pipe.reading, False)
        with pytest.raises(BlockingIOError):
            pipe.read()
        other.stdin.close()
        assert output.flush(10)
    assert pipe.read() == b"a line\n"


def test_a_child_does_not_write_its_parents_lines(pipe: Pipe) -> None:
    """A forked child begins with nothing that waits, and writes its own lines; the parent's are written once."""
    output = pipe.output()
    said = lines(100)
    for line in said:
        output.write(line)
    child = os.fork()
    if child == 0:
        try:
            output.write("from the child\n")
            os._exit(0 if output.flush(10) else 1)
        finally:
            os._exit(2)
    pieces: list[bytes] = []
    os.set_blocking(pipe.reading, False)
    deadline = time.monotonic() + 20
    status = None
    while time.monotonic() < deadline and (status is None or output._waiting):
        try:
            pieces.append(pipe.read())
        except BlockingIOError:
            time.sleep(0.001)
        if status is None:
            done, code = os.waitpid(child, os.WNOHANG)
            status = code if done else None
    found = (b"".join(pieces) + b"".join(_rest(pipe))).splitlines()
    assert status == 0
    assert sorted(found) == sorted([*(line.encode()[:-1] for line in said), b"from the child"])


def _rest(pipe: Pipe) -> list[bytes]:
    try:
        return [pipe.read()]
    except BlockingIOError:
        return []


def test_a_signal_handler_may_log(pipe: Pipe) -> None:
    """A line that a signal's handler says in the middle of another thread-safe step is neither lost nor a deadlock."""
    output = pipe.output()
    before = signal.signal(signal.SIGUSR1, lambda *_: output.write("handler\n"))
    try:
        output._baton.pop()  # as in the middle of a write
        signal.raise_signal(signal.SIGUSR1)
        output._baton.append(None)
        output.write("line\n")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert output.flush(5)
    assert pipe.read() == b"handler\nline\n"


def test_a_lost_baton_is_replaced(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if an exception has come between taking the right to write and giving it back, lines come out again."""
    monkeypatch.setattr(outputs, "_BATON_S", 0.05)
    monkeypatch.setattr(outputs, "_MANY", 2)
    output = pipe.output()
    output._baton.pop()
    for line in lines(5, 10):
        output.write(line)
    assert output.flush(10)
    assert pipe.read().count(b"\n") == 5


def test_a_terminal_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is written to as well; one that takes nothing holds nobody up."""
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w")
    monkeypatch.setattr(sys, "stdout", stream)
    output = Output()
    assert output.is_terminal
    for line in lines(200):
        output.write(line)
    assert output._waiting
    found = b""
    while found.count(b"\n") < 200:
        found += os.read(master, 65_536)
    assert output.flush(10)
    assert [json.loads(line)["n"] for line in found.splitlines()] == list(range(200))
    monkeypatch.undo()
    stream.close()
    os.close(master)


def test_a_socket_as_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under systemd standard output is a socket: whole lines in order, and no waiting for it either."""
    ours, theirs = socket.socketpair()
    stream = os.fdopen(os.dup(ours.fileno()), "w")
    monkeypatch.setattr(sys, "stdout", stream)
    output = Output(buffer_bytes=100_000_000)
    for line in lines(3000):
        output.write(line)
    assert output._waiting
    found = b""
    while found.count(b"\n") < 3000:
        found += theirs.recv(1 << 20)
    assert [json.loads(line)["n"] for line in found.splitlines()] == list(range(3000))
    monkeypatch.undo()
    assert output.flush(10)
    stream.close()
    ours.close()
    theirs.close()


def test_files_and_captures(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file takes lines of any size at once, and so does a stream without a descriptor; each is taken as it is now."""
    output, path = Output(), tmp_path / "out"
    with path.open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output.write("short\n")
        output.write("x" * 300_000 + "\n")
        assert path.stat().st_size == 6 + 300_001
    kept = io.StringIO()
    monkeypatch.setattr(sys, "stdout", kept)
    output.write("kept\u20ac\n")
    output.write("a\ud800b\n")
    assert kept.getvalue() == "kept\u20ac\na?b\n"


def test_an_output_that_does_not_block(pipe: Pipe, kernel: str) -> None:
    """Where somebody has made standard output non-blocking, lines are whole all the same."""
    os.set_blocking(pipe.stream.fileno(), False)
    output = pipe.output(buffer_bytes=10_000_000)
    said = lines(20, 50_000)
    for line in said:
        output.write(line)
    assert [line.decode() + "\n" for line in pipe.drain(output)] == said


class _Turns:
    """An event loop's way to be asked for a call; `run` is its next turn."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, Callable[[], object]]] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        self.asked.append((0.0, call))

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        self.asked.append((delay_s, call))

    def run(self) -> None:
        asked, self.asked = self.asked, []
        for _, call in asked:
            call()


class _Closed:
    """An event loop that has ended."""

    def call_soon(self, _: Any) -> None:
        raise RuntimeError("Event loop is closed")

    def call_later(self, _: float, __: Any) -> None:
        raise RuntimeError("Event loop is closed")


def test_gathered_lines_go_out_together(pipe: Pipe) -> None:
    """Lines that are said within two milliseconds are one write, in order, before a line that is said after them."""
    output, loop = pipe.output(), _Turns()
    output.write("0\n")
    assert pipe.read() == b"0\n"
    for line in ("1\n", "2\n", "3\n"):
        output.gather(line, loop, 1.0)
    assert [delay_s for delay_s, _ in loop.asked] == [0.005]
    output.write("4\n")
    assert pipe.read() == b"1\n2\n3\n4\n"
    loop.run()
    output.gather("5\n", loop, 1.003)
    loop.run()
    assert pipe.read() == b"5\n"


def test_gathered_lines_of_a_file_wait_for_one_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to be woken to read a file, so that who looks into it right after a request sees its line."""
    output, loop = Output(), _Turns()
    with (tmp_path / "out").open("w+") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output.gather("1\n", loop, 1.0)
        output.gather("2\n", loop, 1.0)
        assert [delay_s for delay_s, _ in loop.asked] == [0.0]
        loop.run()
        assert (tmp_path / "out").read_text() == "1\n2\n"


def test_gathered_lines_do_not_wait_for_a_loop_that_has_ended(pipe: Pipe) -> None:
    """A closed loop takes no call; a flush needs none; and lines that a loop has left are written by the next one."""
    output = pipe.output()
    output.gather("1\n", _Closed(), 1.0)
    assert pipe.read() == b"1\n"
    output.gather("2\n", _Turns(), 1.0)
    assert output.flush()
    assert pipe.read() == b"2\n"
    output.gather("3\n", _Turns(), 1.0)
    loop = _Turns()
    output.gather("4\n", loop, 1.01)
    assert not loop.asked
    output.gather("5\n", loop, 1.1)
    loop.run()
    assert pipe.read() == b"3\n4\n5\n"


def test_dropped_lines_are_counted_one_by_one(pipe: Pipe) -> None:
    """Lines that were gathered and dropped together are as many as they are."""
    output = pipe.output(buffer_bytes=200_000)
    for line in lines(20, 150_000):
        output.write(line)
    for line in lines(5, 60_000):
        output.gather(line, _Turns(), 1.0)
    dropped = output._dropped
    output._write_gathered()
    assert output._dropped - dropped == 5
    pipe.drain(output)
