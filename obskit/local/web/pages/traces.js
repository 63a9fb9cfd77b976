// Recent traces, filtered.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Page, Answer, Empty, Table, Time, Chip, Panel } from "../parts.js";
import { Filters, TextFilter, ChoiceFilter, SwitchFilter, parameter } from "../filters.js";
import { Icon } from "../icons.js";
import { duration } from "../format.js";

const LIMIT = 100;

export function Traces() {
  const time = shownTime();
  const wanted = { service: parameter("service"), q: parameter("q"), min_ms: parameter("min_ms"), errors: parameter("errors") };
  const key = JSON.stringify(["traces", time.key, wanted]);
  const [older, setOlder] = useState({ key, traces: [], next: undefined });
  const more = older.key === key ? older : { key, traces: [], next: undefined };
  const answer = useData(key, (signal) => {
    const { start_ms, end_ms } = shownTime();
    return get(api.traces({ ...wanted, start_ms, end_ms, limit: LIMIT }), signal);
  }, { kinds: ["traces"], gapMs: 1500 });
  const services = useData("overview-services", (signal) => get(api.overview(86_400), signal));

  async function loadOlder(before) {
    const { start_ms } = shownTime();
    const reply = await get(api.traces({ ...wanted, start_ms, before, limit: LIMIT }));
    setOlder({ key, traces: [...more.traces, ...reply.traces], next: reply.next });
  }

  return html`<${Page} title="Traces" lead="Newest first">
    <${Filters}>
      <${TextFilter} name="q" label="Search" placeholder="name, route or trace id" isWide />
      <${ChoiceFilter} name="service" label="Service" choices=${(services.data?.services ?? []).map(({ name }) => name)} />
      <${TextFilter} name="min_ms" label="At least, ms" placeholder="0" kind="number" />
      <${SwitchFilter} name="errors" label="Only with errors" />
    </${Filters}>
    <${Panel} flush>
      <${Answer} of=${answer} lines=${10} isEmpty=${({ traces }) => !traces.length} empty=${html`<${Empty} title="No trace here">Choose a longer time or fewer filters.</${Empty}>`}>
        ${({ traces, next }) => html`<${Rows} traces=${merge(traces, more.traces)} next=${more.next === undefined ? next : more.next} loadOlder=${loadOlder} />`}
      </${Answer}>
    </${Panel}>
  </${Page}>`;
}

function merge(fresh, older) {
  const seen = new Set(fresh.map(({ trace_id }) => trace_id));
  return [...fresh, ...older.filter(({ trace_id }) => !seen.has(trace_id))];
}

function Rows({ traces, next, loadOlder }) {
  const longest = Math.max(...traces.map(({ duration_ms }) => duration_ms), 1);
  const columns = [
    { name: "name", label: "Trace", isWide: true, show: (row) => html`<span class="trace-name">${row.root_name || "(no root span)"}</span>` },
    { name: "marks", label: "", show: (row) => html`${row.has_ai && html`<span class="ai-mark" title="Has AI calls"><${Icon} name="llm" label="Has AI calls" /></span>`}${row.errors > 0 && html`<${Chip} tone="bad">${row.errors} failed</${Chip}>`}` },
    { name: "services", label: "Services", show: (row) => html`<span class="chips">${row.services.map((name) => html`<${Chip}>${name}</${Chip}>`)}</span>` },
    { name: "spans", label: "Spans", isNumber: true, show: (row) => row.spans },
    { name: "duration", label: "Duration", isNumber: true, show: (row) => html`<span class="measure"><span class=${`measure-bar ${row.errors ? "bad" : ""}`} style=${{ width: `${Math.max(1, (row.duration_ms / longest) * 100)}%` }}></span><span>${duration(row.duration_ms)}</span></span>` },
    { name: "start", label: "Start", isNumber: true, show: (row) => html`<${Time} ms=${row.start_ms} />` },
  ];
  return html`<${Table} caption="Traces" columns=${columns} rows=${traces} id=${(row) => row.trace_id} href=${(row) => page.trace(row.trace_id)} />
    ${next && html`<p class="more"><button type="button" class="button" onClick=${() => loadOlder(next)}>Older traces</button></p>`}`;
}
