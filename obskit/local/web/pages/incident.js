// One incident: what happened, what to do, who was told, and the telemetry of that moment.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { clockNow } from "../state.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, State, Severity, Time, Facts, Empty } from "../parts.js";
import { Markdown } from "../markdown.js";
import { Notifications } from "../notifications.js";
import { lasted } from "../widgets/incidents.js";
import { ConditionChart } from "../conditionchart.js";
import { compact } from "../format.js";

const AROUND_MS = 300_000;

export function Incident({ id }) {
  const answer = useData(`incident ${id}`, (signal) => get(api.incident(id), signal), { kinds: ["incidents", "notifications"] });
  const incident = answer.data;
  return html`<${Page} title=${incident?.policy_display_name ?? "Incident"} lead=${incident?.condition_name} back=${{ href: page.incidents(), label: "Incidents" }}>
    <${Answer} of=${answer} what="This incident could not be loaded" lines=${10}>${(data) => html`<${Content} incident=${data} />`}</${Answer}>
  </${Page}>`;
}

function Content({ incident }) {
  const { state, severity, started_at_ms, ended_at_ms, observed_value, threshold_value, summary, labels, documentation, notifications } = incident;
  const around = { from: started_at_ms - AROUND_MS, to: Math.min(ended_at_ms ?? clockNow.value, started_at_ms + 12 * AROUND_MS) + AROUND_MS };
  const service = labels?.job ?? labels?.service_name ?? labels?.service ?? "";
  return html`
    <div class="incident-head">
      <${State} of=${state} /><${Severity} of=${severity || "NO SEVERITY"} />
      <span class="num"><${Time} ms=${started_at_ms} />${ended_at_ms ? html` – <${Time} ms=${ended_at_ms} />` : ""} <span class="quiet">${lasted(incident)}</span></span>
    </div>
    <div class="incident-body">
      <div class="incident-main">
        <${Panel} title="What happened">
          <p class="incident-says">${summary || "The condition was met."}</p>
          <dl class="versus">
            <div class=${state === "open" ? "bad" : ""}><dt>Observed</dt><dd class="num">${number(observed_value)}</dd></div>
            <div><dt>Threshold</dt><dd class="num">${number(threshold_value)}</dd></div>
          </dl>
          <p class="links">
            <a class="button" href=${page.logs({ ...around, severity: "WARNING", service })}>Logs of that moment</a>
            <a class="button" href=${page.traces({ ...around, service })}>Traces of that moment</a>
            <a class="button" href=${page.traces({ ...around, service, errors: "1" })}>Failed traces</a>
          </p>
        </${Panel}>
        <${ConditionChart} incident=${incident} />
        <${Panel} title=${documentation?.subject || "What to do"}>
          ${documentation?.content ? html`<${Markdown} text=${documentation.content} />` : html`<p class="quiet">The policy has no documentation.</p>`}
        </${Panel}>
      </div>
      <div class="incident-side">
        <${Panel} title="Labels"><${Facts} of=${labels} /></${Panel}>
      </div>
    </div>
    <${Panel} title="Notifications" aside=${html`<span class="quiet num">${(notifications ?? []).length}</span>`} flush>
      ${notifications?.length ? html`<${Notifications} of=${notifications} />` : html`<${Empty} title="Nobody was notified">The policy has no notification channel.</${Empty}>`}
    </${Panel}>`;
}

const number = (value) => (value === null || value === undefined ? "–" : compact(value));
