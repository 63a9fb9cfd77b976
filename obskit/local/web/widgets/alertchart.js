// The `alertChart` widget: what a policy's conditions measure, their thresholds, and when incidents were open.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { api, page, lastPart } from "../urls.js";
import { project, shownTime } from "../state.js";
import { useData } from "../data.js";
import { Chart } from "../charts.js";
import { Answer, Empty, State } from "../parts.js";
import { window_of } from "../queries.js";
import { logFilterOf, measured } from "../conditions.js";
import { LogRows } from "../logrows.js";
import { Unshown } from "./other.js";

const MOST_SERIES = 40;

export function AlertChart({ of, title, isVisible, range }) {
  const [at, choose] = useState(0);
  const id = lastPart(of.name);
  const policy = useData(`policy ${id}`, (signal) => get(api.policy(project(), id), signal), { kinds: ["objects"], gapMs: 5000 });
  return html`<${Answer} of=${policy} what=${`The policy ${id} could not be read`} lines=${4}>
    ${(found) => {
      const conditions = found.conditions ?? [];
      const condition = conditions[Math.min(at, conditions.length - 1)];
      return html`
        <${Head} policy=${found} conditions=${conditions} at=${at} choose=${choose} isNamed=${Boolean(title)} />
        ${condition ? html`<${Condition} key=${at} policy=${found} condition=${condition} isVisible=${isVisible} range=${range} />` : html`<${Empty} title="The policy has no condition" />`}`;
    }}
  </${Answer}>`;
}

function Head({ policy, conditions, at, choose, isNamed }) {
  const answer = useData("alert-states", (signal) => get(api.policies(), signal), { kinds: ["incidents", "objects"], gapMs: 3000 });
  const state = answer.data?.policies.find(({ name }) => name === policy.name);
  return html`<p class="alert-head">
    <a href=${page.incidents({ policy: policy.name })} class=${isNamed ? "" : "tile-title"}>${policy.displayName}</a>
    ${state && html`<${State} of=${policy.enabled === false ? "disabled" : state.state} />`}
    ${conditions.length > 1 && html`<select aria-label="Condition" value=${at} onChange=${(event) => choose(Number(event.target.value))}>
      ${conditions.map(({ displayName }, position) => html`<option key=${position} value=${position}>${displayName || `condition ${position + 1}`}</option>`)}
    </select>`}
  </p>`;
}

function Condition({ policy, condition, isVisible, range }) {
  const filter = logFilterOf(condition);
  const time = shownTime(range);
  const key = JSON.stringify([policy.name, condition, time.key]);
  const answer = useData(key, async (signal) => {
    const now = shownTime(range);
    const window = window_of(now);
    const what = filter === null
      ? measured(condition, window, signal)
      : get(api.logs({ filter, start_ms: Math.floor(now.start_ms), end_ms: Math.ceil(now.end_ms), limit: 60 }), signal);
    const [found, { incidents }] = await Promise.all([what, get(api.incidents(), signal)]);
    const own = incidents.filter((each) => each.policy_name === policy.name && (!each.condition_name || each.condition_name === condition.displayName));
    return { ...found, now, window, periods: own.map(({ started_at_ms, ended_at_ms }) => ({ start_ms: started_at_ms, end_ms: ended_at_ms })) };
  }, { kinds: ["metrics", "incidents", ...(filter === null ? [] : ["logs"])], gapMs: 3000, isPaused: !isVisible });
  return html`<${Answer} of=${answer} what="The condition could not be charted" lines=${4}
    isEmpty=${(found) => found.series?.length === 0 || found.entries?.length === 0}
    empty=${html`<${Empty} title=${filter === null ? "No data in this time" : "No log entry in this time"}><code class="empty-query">${filter ?? condition.displayName}</code></${Empty}>`}>
    ${(found) => {
      if (found.entries) return html`<div class="widget-scroll"><${LogRows} entries=${found.entries} /></div>`;
      if (!found.series) return html`<${Unshown} kind="alertChart" why="Its condition is of a kind that the local backend does not evaluate." detail=${condition.displayName} />`;
      return html`<${Drawn} ...${found} name=${condition.displayName || policy.displayName} hasOwnRange=${Boolean(range)} />`;
    }}
  </${Answer}>`;
}

function Drawn({ series, limit, now, window, periods, name, hasOwnRange }) {
  const within = periods.filter(({ start_ms, end_ms }) => start_ms <= now.end_ms && (end_ms ?? now.end_ms) >= now.start_ms);
  return html`
    <${Chart} series=${series.slice(0, MOST_SERIES)} unit=${series[0]?.unit ?? ""} thresholds=${limit === null ? [] : [{ value: limit, label: "threshold", color: "RED" }]}
      start_ms=${now.start_ms} end_ms=${now.end_ms} step_ms=${window.step_ms} periods=${within} height="fill" sync=${hasOwnRange ? `alert ${name}` : "dashboard"} label=${name} />
    ${series.length > MOST_SERIES && html`<p class="stale">The first ${MOST_SERIES} of ${series.length} series.</p>`}`;
}
