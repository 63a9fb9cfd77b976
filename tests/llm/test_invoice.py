"""The invoice: over any mix of calls, obskit's totals equal the server's ledger to the last token and digit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from obskit.config import Config
from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.llm import record
from obskit.llm.hooks import add_hook, remove_hook
from obskit.testing import capture

INVOICE = Path(__file__).resolve().parents[2] / "invoice"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning")


class Invoice:
    """A fake Gemini and the mix of calls of `make invoice`, in this process."""

    def __init__(self, gemini: FakeGemini, modules: Any) -> None:
        self.gemini, self.modules = gemini, modules

    def difference(self, kinds: list[str], seed: int, faults: Faults) -> dict[str, tuple[Any, Any]]:
        """Make calls of these kinds, and return where the ledger (first) and obskit (second) differ."""
        self.gemini.ledger.reset()
        self.gemini.switch.set(faults)
        totals = self.modules.drive.Totals()
        add_hook(totals)
        try:
            with capture() as seen:
                asyncio.run(self._make(kinds, seed))
                tokens, units = self.modules.drive.counted(seen)
        finally:
            remove_hook(totals)
        billed, billed_units, usd = self.modules.run.billed(self.gemini.ledger)
        ledger: dict[str, Any] = {**billed, **{name: float(amount) for name, amount in billed_units.items()}}
        ledger |= {f"{model} USD": cost for model, cost in usd.items()}
        ours: dict[str, Any] = {**tokens, **units, **{f"{model} USD": cost for model, cost in totals.usd.items()}}
        names = sorted({*ledger, *ours})
        pairs = {name: (ledger.get(name, Decimal(0)), ours.get(name, Decimal(0))) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    async def _make(self, kinds: list[str], seed: int) -> None:
        mix = self.modules.mix.Mix(self.gemini.url, seed)
        for kind in kinds:
            await mix.one(kind)
        await mix.close()


@pytest.fixture(scope="module")
def modules() -> Iterator[Any]:
    sys.path.insert(0, str(INVOICE))
    try:
        import drive
        import mix
        import run
        from rules import settings as prices
    finally:
        sys.path.remove(str(INVOICE))

    class Modules:
        pass

    found: Any = Modules()
    found.drive, found.mix, found.run, found.prices = drive, mix, run, prices
    yield found
    for name in ("drive", "environments", "mix", "rules", "run", "tables"):  # others have modules of these names too
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def invoice(instrumented: None, modules: Any) -> Iterator[Invoice]:
    with FakeGemini() as gemini:
        yield Invoice(gemini, modules)


@pytest.fixture(autouse=True)
def listed(prices: None, modules: Any) -> None:
    record.configure(Config(prices=modules.prices()))


KINDS = (
    "generate", "stream", "left", "torn", "chat", "embed", "count", "images", "videos", "batch", "cache", "interact",
    "a_generate", "a_stream", "a_left", "a_cancelled", "a_chat", "a_embed", "a_live",
)  # fmt: skip
REFUSALS = st.builds(
    Faults,
    status=st.sampled_from((0, 429, 500, 503)),
    share=st.sampled_from((0.1, 0.4, 1.0)),
    count=st.sampled_from((1, 2, 3, 5)),
    token_multiplier=st.sampled_from((1, 1, 7, 3_000)),  # the last makes long contexts, with their own prices
)


def test_every_kind_of_call_is_drawn(modules: Any) -> None:
    """What is listed here is what `make invoice` draws from."""
    assert {name for name, _ in modules.mix.Mix.WEIGHTS} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_equals_the_ledger(invoice: Invoice, kind: str) -> None:
    """Every kind of call, three times and none refused, is counted and priced as it is billed."""
    assert invoice.difference([kind] * 3, 7, Faults()) == {}
    assert invoice.gemini.ledger.bills() or kind == "count"


@settings(
    max_examples=20,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), seed=st.integers(0, 2**16), faults=REFUSALS)
def test_any_mix_equals_the_ledger(invoice: Invoice, kinds: list[str], seed: int, faults: Faults) -> None:
    """Tokens by model and kind, units and exact USD, through retries, failures, left, torn and cancelled streams."""
    assert invoice.difference(kinds, seed, faults) == {}
