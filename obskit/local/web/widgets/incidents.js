// Incidents as rows: on the overview, on dashboards, on the incidents page.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page, lastPart } from "../urls.js";
import { useData } from "../data.js";
import { clockNow } from "../state.js";
import { Answer, Empty, State, Time, Severity } from "../parts.js";
import { duration } from "../format.js";

export function IncidentRows({ incidents, empty }) {
  if (!incidents.length) return html`<${Empty} title=${empty} />`;
  return html`<ul class="incidents">
    ${incidents.map((incident) => html`<li key=${incident.id}>
      <a href=${page.incident(incident.id)} class=${`incident ${incident.state}`}>
        <span class="incident-name" title=${incident.policy_display_name}>${incident.policy_display_name}</span>
        <span class="incident-meta"><${State} of=${incident.state} /><${Severity} of=${incident.severity || "NO SEVERITY"} /></span>
        <span class="incident-summary">${incident.summary || incident.condition_name}</span>
        <span class="incident-time quiet"><span class="incident-since"><${Time} ms=${incident.started_at_ms} /> · </span>${lasted(incident)}</span>
      </a>
    </li>`)}
  </ul>`;
}

export function lasted({ started_at_ms, ended_at_ms }) {
  const end = ended_at_ms ?? clockNow.value;
  const ms = Math.max(0, end - started_at_ms);
  const exact_ms = ms < 600_000 ? 1000 : ms < 86_400_000 ? 60_000 : 3_600_000; // what still matters of so long a time
  return `${ended_at_ms ? "lasted" : "for"} ${duration(Math.round(ms / exact_ms) * exact_ms)}`;
}

/** The `incidentList` widget: open incidents of the named policies and resources, or of all. */
export function IncidentList({ of, isVisible }) {
  const answer = useData("widget-incidents", (signal) => get(api.incidents("open"), signal), { kinds: ["incidents"], gapMs: 1500, isPaused: !isVisible });
  const { policyNames: names = [], monitoredResources: resources = [] } = of;
  const wanted = (incident) => (!names.length || names.some((name) => lastPart(name) === lastPart(incident.policy_name))) && (!resources.length || resources.some((each) => isOn(incident, each)));
  return html`<div class="widget-scroll incident-list"><${Answer} of=${answer} lines=${2}>
    ${({ incidents }) => html`<${IncidentRows} incidents=${incidents.filter(wanted)} empty="No open incident" />`}
  </${Answer}></div>`;
}

// An incident that does not say what it is about is shown rather than lost.
function isOn({ labels = {}, resource_type }, { type, labels: wanted = {} }) {
  if (resource_type && type && resource_type !== type) return false;
  return Object.entries(wanted).every(([key, value]) => labels[key] === undefined || labels[key] === value);
}
