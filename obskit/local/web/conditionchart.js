// The condition of an incident as a chart: the value, its limit, and when the incident was open.
import { html } from "./html.js";
import { get } from "./api.js";
import { api, lastPart } from "./urls.js";
import { nowMs, project } from "./state.js";
import { useData } from "./data.js";
import { Chart } from "./charts.js";
import { Answer, Empty, Panel } from "./parts.js";
import { measured } from "./conditions.js";
import { stepFor } from "./queries.js";

const BEFORE_MS = 1_500_000;
const AFTER_MS = 600_000;
const LONGEST_MS = 21_600_000;

export function ConditionChart({ incident }) {
  const { policy_name, condition_name, started_at_ms, ended_at_ms, state } = incident;
  const answer = useData(`condition ${incident.id} ${state}`, async (signal) => {
    const policy = await get(api.policy(project(), lastPart(policy_name)), signal);
    const conditions = policy.conditions ?? [];
    const condition = conditions.find(({ displayName }) => displayName === condition_name) ?? conditions[0];
    const window = windowOf(started_at_ms, ended_at_ms);
    return { window, ...(await measured(condition, window, signal)) };
  }, { kinds: state === "open" ? ["metrics"] : [], gapMs: 4000 });
  if (answer.data && !answer.data.series) return null;
  return html`<${Panel} title="The condition around that moment">
    <${Answer} of=${answer} what="The condition could not be charted" isEmpty=${({ series }) => !series.length} empty=${html`<${Empty} title="No data around that moment" />`}>
      ${({ series, limit, window }) => html`<${Chart} series=${series} thresholds=${limit === null ? [] : [{ value: limit, label: "threshold", color: "RED" }]}
        start_ms=${window.start_ms} end_ms=${window.end_ms} step_ms=${window.step_ms} periods=${[{ start_ms: started_at_ms, end_ms: ended_at_ms }]}
        height=${224} sync="incident" label="The condition's value and threshold" />`}
    </${Answer}>
  </${Panel}>`;
}

function windowOf(started_at_ms, ended_at_ms) {
  const start_ms = started_at_ms - BEFORE_MS;
  const end_ms = Math.min((ended_at_ms ?? nowMs()) + AFTER_MS, nowMs(), start_ms + LONGEST_MS);
  const step_ms = stepFor(end_ms - start_ms, 200, 15_000);
  return { start_ms: Math.floor(start_ms / step_ms) * step_ms, end_ms: Math.ceil(end_ms / step_ms) * step_ms, step_ms };
}
