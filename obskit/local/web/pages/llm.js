// What the AI calls used and cost.
import { html } from "../html.js";
import { get } from "../api.js";
import { api } from "../urls.js";
import { shownTime, RANGES } from "../state.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty, Table } from "../parts.js";
import { Chart } from "../charts.js";
import { compact, count, share, usd } from "../format.js";

export function Llm() {
  const time = shownTime();
  const label = RANGES.find(({ ms }) => ms === time.ms)?.words ?? "shown time";
  const answer = useData(`llm ${time.ms}`, async (signal) => {
    const data = await get(api.llm(Math.round(time.ms / 1000)), signal);
    return { ...data, shown: shownTime() };
  }, { kinds: ["metrics"], gapMs: 2000 });
  return html`<${Page} title="AI cost" lead=${`Tokens and US dollars of the last ${label}; a call without a known price counts no dollars and is shown as unpriced`}>
    <${Answer} of=${answer} lines=${10} isEmpty=${({ models }) => !models.length} empty=${html`<${Panel}><${Empty} title="No AI call in this time">Calls through google-genai are recorded by themselves; others with obskit.record_usage().</${Empty}></${Panel}>`}>
      ${(data) => html`<${Content} data=${data} />`}
    </${Answer}>
  </${Page}>`;
}

const cachedShare = ({ cached_tokens, input_tokens }) => (input_tokens ? cached_tokens / input_tokens : null);

function Content({ data }) {
  const { models, total, cost_by_time, tokens_by_time, shown } = data;
  const unpriced = total.unpriced_calls ?? 0;
  const series = (label, column, style) => ({ label, style, isStacked: true, points: tokens_by_time.map((row) => [row[0], row[column]]), unit: "{token}" });
  const step_ms = cost_by_time.length > 1 ? cost_by_time[1][0] - cost_by_time[0][0] : 60_000;
  return html`
    <div class="figures">
      ${figure("Cost", usd(total.cost_usd), unpriced ? `without ${unpriced} unpriced calls` : "all calls priced", unpriced ? "warn" : "")}
      ${figure("Calls", count(total.calls), `${count(total.errors ?? 0)} failed`)}
      ${figure("Input tokens", compact(total.input_tokens), "cached and tool use included")}
      ${figure("Output tokens", compact(total.output_tokens), `${compact(total.thinking_tokens ?? 0)} of them thinking`)}
      ${figure("Cache hits", share(cachedShare(total)), "of input tokens")}
    </div>
    <div class="pair">
      <${Panel} title="Cost over time"><${Chart} series=${[{ label: "cost", style: "bar", points: cost_by_time, unit: "USD" }]} unit="USD" start_ms=${shown.start_ms} end_ms=${shown.end_ms} step_ms=${step_ms} height=${220} label="Cost over time" /></${Panel}>
      <${Panel} title="Tokens over time"><${Chart} series=${[series("input", 1, "bar"), series("output", 2, "bar")]} unit="{token}" start_ms=${shown.start_ms} end_ms=${shown.end_ms} step_ms=${step_ms} height=${220} label="Tokens over time" /></${Panel}>
    </div>
    <${Panel} title="By model" flush>
      <${Table} caption="AI cost by model" columns=${columns(total.cost_usd)} rows=${models} id=${(row) => `${row.provider} ${row.model}`} />
    </${Panel}>`;
}

const figure = (name, value, note, tone = "") => html`<div class=${`figure ${tone}`}><span class="figure-name">${name}</span><span class="figure-value num">${value}</span><span class="figure-note">${note}</span></div>`;

const columns = (all) => [
  { name: "model", label: "Model", isWide: true, show: (row) => html`<span class="model"><strong>${row.model || "(unknown)"}</strong><span class="quiet">${row.provider}</span></span>` },
  { name: "cost", label: "Cost", isNumber: true, show: (row) => html`<span class="measure"><span class="measure-bar" style=${{ width: `${all ? Math.max(1, (row.cost_usd / all) * 100) : 0}%` }}></span><span>${row.cost_usd === 0 && row.unpriced_calls ? "unknown" : usd(row.cost_usd)}</span></span>` },
  { name: "calls", label: "Calls", isNumber: true, show: (row) => count(row.calls) },
  { name: "input", label: "Input", isNumber: true, show: (row) => count(row.input_tokens) },
  { name: "cached", label: "Cached", isNumber: true, show: (row) => share(cachedShare(row)) },
  { name: "output", label: "Output", isNumber: true, show: (row) => count(row.output_tokens) },
  { name: "thinking", label: "Thinking", isNumber: true, show: (row) => count(row.thinking_tokens) },
  { name: "unpriced", label: "Unpriced", isNumber: true, show: (row) => (row.unpriced_calls ? html`<span class="chip warn">${count(row.unpriced_calls)}</span>` : "0") },
  { name: "errors", label: "Failed", isNumber: true, show: (row) => count(row.errors) },
];
