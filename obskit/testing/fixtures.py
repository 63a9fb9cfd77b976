"""The fixture `obskit_capture` of pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from obskit.testing.capturing import Captured, capture

__all__ = ["obskit_capture"]


@pytest.fixture
def obskit_capture() -> Iterator[Captured]:
    """What the test's code records; see `capture`."""
    with capture() as seen:
        yield seen
