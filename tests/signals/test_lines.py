from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from obskit.signals.lines import moment, quoted
from obskit.signals.outputs import Output

WRITER = """
import sys
from obskit.signals.outputs import Output
output, name = Output(), sys.argv[1]
sys.stdin.read(1)
for number in range(100):
    size = [8, 200, 8_000, 60_000, 200_000][number % 5]
    output.write('{"name":"%s","number":%d,"text":"%s"}\\n' % (name, number, name * size))
"""


def test_processes_that_share_a_pipe_write_whole_lines() -> None:
    """Four processes with lines of 8 bytes to 200 KB on one pipe: every line is valid JSON, and none is missing."""
    reading, writing = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, name], stdin=subprocess.PIPE, stdout=writing) for name in "abcd"
    ]
    os.close(writing)
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"x")
        writer.stdin.close()
    with os.fdopen(reading, "rb") as pipe:
        found = [json.loads(line) for line in pipe]
    assert [writer.wait(30) for writer in writers] == [0] * 4
    assert sorted((line["name"], line["number"]) for line in found) == [(n, i) for n in "abcd" for i in range(100)]


def test_threads_write_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of one process do not write into each other's lines."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output = Output()
        found: list[bytes] = []

        def drain() -> None:
            with os.fdopen(reading, "rb") as pipe:
                found.extend(pipe)

        reader = threading.Thread(target=drain)
        reader.start()
        threads = [
            threading.Thread(target=lambda name=name: [output.write(f'"{name * 100_000}"\n') for _ in range(20)])
            for name in "abcd"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert output.flush(30)
        monkeypatch.undo()
    reader.join(30)
    assert len(found) == 80
    assert all(len(set(json.loads(line))) == 1 for line in found)


def test_a_pipe_without_a_reader_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody reads, or there is no output at all, a line is lost and nothing is raised."""
    reading, writing = os.pipe()
    os.close(reading)
    output = Output()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output.write("lost\n")
    output.write("closed\n")
    monkeypatch.setattr(sys, "stdout", None)
    output.write("none\n")


def test_moments_are_rfc_3339() -> None:
    """Times are in UTC with microseconds, also across the cached second."""
    assert moment(1_795_242_135_000_001_999) == "2026-11-21T06:22:15.000001Z"
    assert moment(1_795_242_134_999_999_999) == "2026-11-21T06:22:14.999999Z"


def test_quoted_text_is_json() -> None:
    """Whatever is in a text, its quoted form is a JSON string on one line."""
    text = '"\\\n\r\x00\x1b\u2028é\U0001f600'
    assert json.loads(quoted(text)) == text
    assert "\n" not in quoted(text)
    assert json.loads(quoted("a\ud800")) == "a\ufffd"
