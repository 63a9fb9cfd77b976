// Notifications that were sent, or kept in the inbox, with what they said.
import { html, useState } from "./html.js";
import { page } from "./urls.js";
import { Icon } from "./icons.js";
import { Chip, Json, State, Time } from "./parts.js";

export function Notifications({ of, hasPolicy = false }) {
  return html`<ol class="notifications">${of.map((each) => html`<${Notification} key=${each.id} of=${each} hasPolicy=${hasPolicy} />`)}</ol>`;
}

function Notification({ of, hasPolicy }) {
  const [isOpen, setOpen] = useState(false);
  return html`<li class="notification">
    <div class=${`notification-head ${hasPolicy ? "has-policy" : ""}`}>
      <button type="button" class="plain" aria-expanded=${isOpen ? "true" : "false"} aria-label=${`Payload to ${of.channel_display_name || of.channel_type}`} onClick=${() => setOpen(!isOpen)}><${Icon} name="chevron" /></button>
      <${Time} ms=${of.sent_at_ms} />
      <${State} of=${of.state} />
      ${hasPolicy && html`<a class="notification-policy" href=${page.incident(of.incident_id)}>${of.policy_display_name}</a>`}
      <span class="notification-channel"><${Chip}>${of.channel_type}</${Chip}> ${of.channel_display_name}</span>
      <${State} of=${of.delivery} />
    </div>
    ${of.error && html`<p class="notification-error">${of.error}</p>`}
    ${isOpen && html`<${Json} of=${of.payload} />`}
  </li>`;
}
