"""`obskit prices`: what models cost, with the configured overrides, and what a usage would cost."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Annotated, Any

import typer

from obskit.config import Config, resolve
from obskit.llm.listing import PriceRow, pages, rows
from obskit.llm.prices import exact_price, model_name
from obskit.llm.usage import Usage

__all__ = ["command"]


def command(
    model: Annotated[str, typer.Argument(help="One model; all of the provider's by default.")] = "",
    *,
    provider: Annotated[str, typer.Option(help="As OpenTelemetry or genai-prices spells it.")] = "gcp.gemini",
    input_tokens: Annotated[int, typer.Option("--input", min=0, help="Tokens of input, without cached ones.")] = 0,
    cached_tokens: Annotated[int, typer.Option("--cached", min=0, help="Tokens from a cache.")] = 0,
    output_tokens: Annotated[int, typer.Option("--output", min=0, help="Tokens of the reply.")] = 0,
    thinking_tokens: Annotated[int, typer.Option("--thinking", min=0, help="Tokens of thinking.")] = 0,
    audio_tokens: Annotated[int, typer.Option("--audio", min=0, help="Those of the input that are audio.")] = 0,
    searches: Annotated[int, typer.Option(min=0, help="Searches of grounding.")] = 0,
    unit: Annotated[list[str] | None, typer.Option(help="Another unit, e.g. images=3; may be given again.")] = None,
    processing: Annotated[str, typer.Option(help="batch, flex or priority; empty is the standard.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show prices in USD per million tokens, or what a given usage would cost; exits 1 for a model without a price."""
    config = resolve({}).config
    usage = _usage(
        input=input_tokens,
        cached=cached_tokens,
        output=output_tokens,
        thinking=thinking_tokens,
        audio=audio_tokens,
        units=_units(unit or (), searches),
        processing=processing,
    )
    name = model_name(model)
    found = rows(provider, name, config.prices)
    report: dict[str, Any] = {"source": f"genai-prices {version('genai-prices')}", "provider": provider}
    report["pages"] = pages(provider)
    report["models"] = [row.to_dict() for row in found]
    if name and not usage.is_empty:
        cost = exact_price(provider, [name], usage, config.prices)
        report["cost_usd"] = None if cost is None else f"{cost.normalize():f}"
    typer.echo(json.dumps(report) if as_json else "\n".join(_lines(report, found, config)))
    if name and (not found or report.get("cost_usd", "") is None):
        raise typer.Exit(1)


def _usage(*, audio: int, units: dict[str, float], processing: str, **counts: int) -> Usage:
    modalities = {"input_audio_tokens": audio} if audio else {}
    if processing not in {"", "batch", "flex", "priority"}:
        raise typer.BadParameter("it is batch, flex or priority", param_hint="--processing")
    return Usage(**counts, units=units, modalities=modalities, processing=processing)


def _units(given: list[str] | tuple[()], searches: int) -> dict[str, float]:
    units: dict[str, float] = {"searches": searches} if searches else {}
    for word in given:
        name, _, amount = word.partition("=")
        try:
            units[name] = float(amount)
        except ValueError:
            raise typer.BadParameter(f"{word!r} is not like images=3", param_hint="--unit") from None
    return units


def _lines(report: dict[str, Any], found: list[PriceRow], config: Config) -> list[str]:
    lines = [f"USD per million tokens, as {report['source']} knows them; {len(config.prices or {})} configured."]
    lines += [f"Source: {page}" for page in report["pages"]]
    width = max((len(row.model) for row in found), default=0)
    lines += [f"{row.model:<{width}}  {row.text}" for row in found]
    if not found:
        lines.append("No price is known. Give one in the setting `prices`.")
    if "cost_usd" in report:
        cost = report["cost_usd"]
        lines.append("That usage has no known price." if cost is None else f"That usage would cost ${cost}.")
    return lines
