"""What an answer's body says and an older SDK's reply does not."""

from __future__ import annotations

from types import SimpleNamespace

from obskit.llm.gemini_call import finish_with, keep_body
from obskit.llm.record import Call
from obskit.testing import Captured


def test_usage_that_the_sdk_drops(seen: Captured) -> None:
    """An embedding's tokens are read from the answer's body where the reply has no usage."""
    call = Call(operation="embeddings", provider="gcp.gemini", model="gemini-embedding-001")
    keep_body(call, SimpleNamespace(response_stream=['{"usageMetadata": {"promptTokenCount": 7}}']))
    finish_with(call, SimpleNamespace(embeddings=None))
    assert seen.total("obskit.gen_ai.tokens") == 7
