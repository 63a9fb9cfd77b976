// Alert policies and where each stands against its threshold.
import { html } from "../html.js";
import { get, promInstant } from "../api.js";
import { api, page } from "../urls.js";
import { nowMs, project } from "../state.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty, Table, State, Severity, Ago } from "../parts.js";
import { IncidentRows } from "../widgets/incidents.js";
import { compared } from "../comparison.js";
import { compact } from "../format.js";

export function Alerts() {
  const policies = useData("policies", (signal) => get(api.policies(), signal), { kinds: ["objects", "incidents", "metrics"], gapMs: 2000 });
  const incidents = useData("incidents-all", (signal) => get(api.incidents(), signal), { kinds: ["incidents"] });
  return html`<${Page} title="Alerts" lead="Evaluated here as Cloud Monitoring would, on the backend's clock">
    <${Panel} title="Policies" flush>
      <${Answer} of=${policies} isEmpty=${(data) => !data.policies.length} empty=${html`<${Empty} title="No alert policy yet">Write one in <code>alerts/*.py</code> and run <code>obskit sync-alerts</code>.</${Empty}>`}>
        ${(data) => html`<${Table} caption="Alert policies" columns=${COLUMNS} rows=${data.policies} id=${(row) => row.name} href=${(row) => page.incidents({ policy: row.name })} />`}
      </${Answer}>
    </${Panel}>
    <${Panel} title="Latest incidents" aside=${html`<a href=${page.incidents()}>All incidents</a>`} flush>
      <${Answer} of=${incidents}>${(data) => html`<${IncidentRows} incidents=${data.incidents.slice(0, 8)} empty="No incident yet" />`}</${Answer}>
    </${Panel}>
  </${Page}>`;
}

const isUnknown = (value) => value === null || value === undefined;

const COLUMNS = [
  { name: "policy", label: "Policy", isWide: true, show: (row) => html`<span class="policy-name">${row.display_name}</span>` },
  { name: "state", label: "State", show: (row) => html`<${State} of=${row.enabled === false ? "disabled" : row.state} />` },
  { name: "against", label: "Value against threshold", show: (row) => html`<${Against} of=${row} />` },
  { name: "severity", label: "Severity", show: (row) => html`<${Severity} of=${row.severity || "NONE"} />` },
  { name: "open", label: "Open", isNumber: true, show: (row) => row.open_incidents ?? 0 },
  { name: "evaluated", label: "Evaluated", isNumber: true, show: (row) => html`<${Ago} ms=${row.last_evaluated_ms} />` },
];

// A PromQL comparison that does not hold has no value; its left side has one all the same.
async function measure({ query }, signal) {
  const parts = compared(query ?? "");
  if (!parts) return {};
  const best = parts.operator.startsWith("<") ? Math.min : Math.max;
  const ask = async (text) => {
    if (Number.isFinite(Number(text))) return Number(text);
    const values = (await promInstant(project(), text, nowMs(), signal)).map(({ points }) => points[0][1]).filter((each) => each !== null);
    return values.length ? best(...values) : null;
  };
  const [value, threshold] = await Promise.all([ask(parts.value), ask(parts.limit)]);
  return { value, threshold };
}

function Against({ of }) {
  const { state, error, query } = of;
  const isMissing = !error && state !== "unsupported" && (isUnknown(of.value) || isUnknown(of.threshold));
  const answer = useData(isMissing ? `measure ${of.name} ${query}` : null, (signal) => measure(of, signal), { kinds: ["metrics"], gapMs: 5000 });
  const value = of.value ?? answer.data?.value;
  const threshold = of.threshold ?? answer.data?.threshold;
  const isKnown = !isUnknown(value);
  const hasLine = !isUnknown(threshold) && threshold !== 0;
  const part = isKnown && hasLine ? Math.min(1.25, Math.max(0, value / threshold)) : 0;
  return html`<span class="against">
    ${hasLine && html`<span class=${`against-bar ${state}`} aria-hidden="true"><span style=${{ width: `${(part / 1.25) * 100}%` }}></span><i></i></span>`}
    <span class="num">${isKnown ? compact(value) : "no data"}${hasLine ? html`<span class="quiet"> of ${compact(threshold)}</span>` : ""}</span>
    ${error && html`<span class="against-error">${error}</span>`}
    ${query && html`<code class="query" title=${query}>${query}</code>`}
  </span>`;
}
