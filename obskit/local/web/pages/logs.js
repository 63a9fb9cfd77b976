// Log entries: search, severity, service; live.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { api } from "../urls.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty } from "../parts.js";
import { Filters, TextFilter, ChoiceFilter, parameter } from "../filters.js";
import { LogRows } from "../logrows.js";

const LIMIT = 150;
const SEVERITIES = ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"];

export function Logs() {
  const time = shownTime();
  const wanted = Object.fromEntries(["q", "filter", "severity", "service", "trace_id"].map((name) => [name, parameter(name)]));
  const key = JSON.stringify(["logs", time.key, wanted]);
  const [older, setOlder] = useState({ key, entries: [], next: undefined });
  const more = older.key === key ? older : { key, entries: [], next: undefined };
  // A trace's logs are asked for whatever the time.
  const between = () => (wanted.trace_id ? {} : { start_ms: shownTime().start_ms, end_ms: shownTime().end_ms });
  const answer = useData(key, (signal) => get(api.logs({ ...wanted, ...between(), limit: LIMIT }), signal), { kinds: ["logs"], gapMs: 1000 });
  const services = useData("overview-services", (signal) => get(api.overview(86_400), signal));

  async function loadOlder(before) {
    const reply = await get(api.logs({ ...wanted, start_ms: between().start_ms, before, limit: LIMIT }));
    setOlder({ key, entries: [...more.entries, ...reply.entries], next: reply.next });
  }

  return html`<${Page} title="Logs" lead="Newest first">
    <${Filters}>
      <${TextFilter} name="q" label="Search" placeholder="words in the message or fields" isWide />
      <${ChoiceFilter} name="severity" label="At least" choices=${SEVERITIES} />
      <${ChoiceFilter} name="service" label="Service" choices=${(services.data?.services ?? []).map(({ name }) => name)} />
      <${TextFilter} name="filter" label="Logging filter" placeholder='severity>=ERROR' isWide />
      ${wanted.trace_id && html`<${TextFilter} name="trace_id" label="Trace" isWide />`}
    </${Filters}>
    <${Panel} flush>
      <${Answer} of=${answer} what="The logs could not be read" lines=${12} isEmpty=${({ entries }) => !entries.length} empty=${html`<${Empty} title="No log entry here">Choose a longer time or fewer filters.</${Empty}>`}>
        ${({ entries, next }) => html`<${Rows} entries=${merge(entries, more.entries)} next=${more.next === undefined ? next : more.next} loadOlder=${loadOlder} />`}
      </${Answer}>
    </${Panel}>
  </${Page}>`;
}

function merge(fresh, older) {
  const seen = new Set(fresh.map(({ id }) => id));
  return [...fresh, ...older.filter(({ id }) => !seen.has(id))];
}

function Rows({ entries, next, loadOlder }) {
  return html`<${LogRows} entries=${entries} />
    ${next && html`<p class="more"><button type="button" class="button" onClick=${() => loadOlder(next)}>Older entries</button></p>`}`;
}
