// Events that a dashboard marks on its charts. Of those that the API knows, the local backend knows incidents of alerts.
import { html, signal, useEffect } from "./html.js";
import { get } from "./api.js";
import { api } from "./urls.js";
import { place, setParameters } from "./state.js";
import { useData } from "./data.js";

const PARAMETER = "events";

/** The times that the shown dashboard's charts shade: [{start_ms, end_ms}]. */
export const marks = signal([]);

/** The annotation of a dashboard that marks incidents, if there is one. */
export const alertsOf = ({ annotations }) => (annotations?.eventAnnotations ?? []).find(({ eventType }) => eventType === "CLOUD_ALERTING_ALERT");

/** The switch of a dashboard that marks incidents; nothing where it does not. */
export function MarkSwitch({ dashboard }) {
  const alerts = alertsOf(dashboard);
  const chosen = place.value.search.get(PARAMETER);
  const isOn = Boolean(alerts) && (chosen === null ? Boolean(alerts.enabled) : chosen === "1");
  const answer = useData(isOn ? "marked incidents" : null, (signal) => get(api.incidents(), signal), { kinds: ["incidents"], gapMs: 2000 });
  const times = JSON.stringify(isOn ? (answer.data?.incidents ?? []).map(({ started_at_ms, ended_at_ms }) => ({ start_ms: started_at_ms, end_ms: ended_at_ms })) : []);
  useEffect(() => {
    marks.value = JSON.parse(times);
  }, [times]);
  useEffect(() => () => (marks.value = []), []);
  if (!alerts) return null;
  const turn = (wanted) => setParameters({ [PARAMETER]: wanted === Boolean(alerts.enabled) ? "" : wanted ? "1" : "0" });
  return html`<label class="switch"><input type="checkbox" checked=${isOn} onChange=${(event) => turn(event.target.checked)} /><span>${alerts.displayName || "Incidents of alerts"}</span></label>`;
}
