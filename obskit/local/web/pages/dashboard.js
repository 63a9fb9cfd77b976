// One dashboard, live.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { project } from "../state.js";
import { useData } from "../data.js";
import { Page, Answer, Empty, Json } from "../parts.js";
import { Layout, tilesOf } from "../layout.js";
import { MarkSwitch, alertsOf } from "../marks.js";
import { VariableBar, filtersOf } from "../variables.js";

export function Dashboard({ id }) {
  const [showsJson, setShowsJson] = useState(false);
  const answer = useData(`dashboard ${id}`, (signal) => get(api.dashboard(project(), id), signal), { kinds: ["objects"] });
  const toggle = html`<button type="button" class="button" aria-pressed=${showsJson ? "true" : "false"} onClick=${() => setShowsJson(!showsJson)}>JSON</button>`;
  return html`<${Page} title=${answer.data?.displayName ?? "Dashboard"} back=${{ href: page.dashboards(), label: "Dashboards" }} actions=${toggle}>
    <${Answer} of=${answer} what="This dashboard could not be loaded" lines=${10}>
      ${(dashboard) => (showsJson ? html`<${Json} of=${dashboard} />` : html`<${Shown} dashboard=${dashboard} />`)}
    </${Answer}>
  </${Page}>`;
}

function Shown({ dashboard }) {
  const filters = filtersOf(dashboard);
  const hasInputs = filters.length > 0 || Boolean(alertsOf(dashboard));
  if (!tilesOf(dashboard).length) return html`<${Empty} title="This dashboard is empty" />`;
  return html`${hasInputs && html`<${VariableBar} filters=${filters}><${MarkSwitch} dashboard=${dashboard} /></${VariableBar}>`}<${Layout} dashboard=${dashboard} filters=${filters} />`;
}
