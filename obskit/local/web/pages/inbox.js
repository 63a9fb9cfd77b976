// Every notification that alerts have caused.
import { html } from "../html.js";
import { get } from "../api.js";
import { api } from "../urls.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty } from "../parts.js";
import { Notifications } from "../notifications.js";

export function Inbox() {
  const answer = useData("notifications", (signal) => get(api.notifications(), signal), { kinds: ["notifications", "incidents"] });
  return html`<${Page} title="Inbox" lead="What Cloud Monitoring would have sent; channels that cannot be reached from here are kept">
    <${Panel} flush>
      <${Answer} of=${answer} lines=${8} isEmpty=${({ notifications }) => !notifications.length} empty=${html`<${Empty} title="No notification yet">Alerts that open or close an incident notify the policy's channels.</${Empty}>`}>
        ${({ notifications }) => html`<${Notifications} of=${notifications} hasPolicy />`}
      </${Answer}>
    </${Panel}>
  </${Page}>`;
}
