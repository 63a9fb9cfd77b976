// The `text` and `sectionHeader` widgets.
import { html } from "../html.js";
import { Markdown } from "../markdown.js";

export function Text({ of }) {
  if (of.format === "RAW") return html`<pre class="raw widget-scroll">${of.content ?? ""}</pre>`;
  return html`<div class="widget-scroll"><${Markdown} text=${of.content ?? ""} /></div>`;
}

export function SectionHeader({ of, title }) {
  return html`<div class="section-header">
    <h2>${title}</h2>
    ${of.subtitle && html`<p class="quiet">${of.subtitle}</p>`}
    ${of.dividerBelow && html`<hr />`}
  </div>`;
}
