// What this preview does not draw says so, with what it is.
import { html } from "../html.js";

export function Unshown({ kind, why, detail }) {
  return html`<div class="unshown">
    <p class="unshown-kind">${kind}</p>
    <p>${why ?? "Google Cloud shows this kind of widget; the local preview does not draw it."}</p>
    ${detail && html`<pre tabindex="0">${detail}</pre>`}
  </div>`;
}
