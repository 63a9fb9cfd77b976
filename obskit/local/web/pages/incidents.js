// Incidents over time.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { clockNow, setParameters } from "../state.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty } from "../parts.js";
import { IncidentRows } from "../widgets/incidents.js";
import { Filters, ChoiceFilter, parameter } from "../filters.js";
import { timeOfDay, dayAndTime } from "../format.js";

export function Incidents() {
  const state = parameter("state");
  const policy = parameter("policy");
  const answer = useData(`incidents ${state}`, (signal) => get(api.incidents(state), signal), { kinds: ["incidents"] });
  return html`<${Page} title="Incidents" back=${{ href: page.alerts(), label: "Alerts" }}>
    <${Filters}>
      <${ChoiceFilter} name="state" label="State" choices=${["open", "closed"]} />
      ${policy && html`<button type="button" class="button" onClick=${() => setParameters({ policy: "" })}>All policies</button>`}
    </${Filters}>
    <${Answer} of=${answer} lines=${8}>
      ${({ incidents }) => html`<${Shown} incidents=${policy ? incidents.filter(({ policy_name }) => policy_name === policy) : incidents} />`}
    </${Answer}>
  </${Page}>`;
}

function Shown({ incidents }) {
  if (!incidents.length) return html`<${Panel}><${Empty} title="No incident">Everything that is watched is within its limits.</${Empty}></${Panel}>`;
  return html`<${Panel} title="Timeline"><${Timeline} incidents=${incidents} /></${Panel}>
    <${Panel} title="Incidents" flush><${IncidentRows} incidents=${incidents} empty="No incident" /></${Panel}>`;
}

// One lane a policy, one bar an incident.
function Timeline({ incidents }) {
  const now = clockNow.value;
  const first = Math.min(...incidents.map(({ started_at_ms }) => started_at_ms));
  const span = Math.max(now - first, 60_000) * 1.04;
  const start = now - span;
  const lanes = Map.groupBy(incidents, ({ policy_display_name }) => policy_display_name);
  const at = (ms) => ((ms - start) / span) * 100;
  const text = span > 64_800_000 ? dayAndTime : timeOfDay;
  return html`<div class="timeline">
    ${[...lanes].map(([name, own]) => html`<div class="lane" key=${name}>
      <span class="lane-name">${name}</span>
      <div class="lane-track">${own.map((incident) => html`<a key=${incident.id} href=${page.incident(incident.id)} class=${`lane-bar ${incident.state}`} aria-label=${`${name}, ${incident.state}, from ${timeOfDay(incident.started_at_ms)}`}
        style=${{ left: `${at(incident.started_at_ms)}%`, width: `${Math.max(0.6, at(incident.ended_at_ms ?? now) - at(incident.started_at_ms))}%` }}></a>`)}</div>
    </div>`)}
    <div class="lane axis" aria-hidden="true"><span></span><div class="lane-track"><span>${text(start)}</span><span>${text(start + span / 2)}</span><span>now</span></div></div>
  </div>`;
}
