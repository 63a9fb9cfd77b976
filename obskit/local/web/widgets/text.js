// The `text` and `sectionHeader` widgets.
import { html } from "../html.js";
import { Markdown } from "../markdown.js";

const word = (text) => String(text ?? "").replace(/^[A-Z]+_/, "").toLowerCase().replaceAll("_", "-");

// The classes of a text's style; its colours are its tile's.
function look({ horizontalAlignment, verticalAlignment, padding, fontSize } = {}) {
  const pairs = [["align", horizontalAlignment], ["vertical", verticalAlignment], ["padding", padding], ["size", fontSize]];
  return pairs.filter(([, value]) => value && !/UNSPECIFIED/.test(value)).map(([name, value]) => `text-${name}-${word(value)}`).join(" ");
}

export function Text({ of }) {
  const classes = `widget-scroll text-body ${look(of.style)}`;
  if (of.format === "RAW") return html`<pre class=${`raw ${classes}`} tabindex="0">${of.content ?? ""}</pre>`;
  return html`<div class=${classes} tabindex="0"><${Markdown} text=${of.content ?? ""} /></div>`;
}

export function SectionHeader({ of, title }) {
  return html`<div class="section-header">
    <h2>${title}</h2>
    ${of.subtitle && html`<p class="quiet">${of.subtitle}</p>`}
    ${of.dividerBelow && html`<hr />`}
  </div>`;
}
