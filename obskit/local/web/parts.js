// Small pieces that every page is made of.
import { html } from "./html.js";
import { clockNow, go } from "./state.js";
import { ago, dayAndTime, moment } from "./format.js";
import { Icon } from "./icons.js";

export function Page({ title, lead, actions, back, children }) {
  return html`<main class="page" id="content" tabindex="-1">
    <header class="page-head">
      <div class="page-title">
        ${back && html`<a class="back" href=${back.href}><${Icon} name="chevron" />${back.label}</a>`}
        <h1>${title}</h1>
        ${lead && html`<p class="lead">${lead}</p>`}
      </div>
      ${actions && html`<div class="page-actions">${actions}</div>`}
    </header>
    ${children}
  </main>`;
}

export function Panel({ title, aside, children, kind = "", flush = false }) {
  return html`<section class=${`panel ${kind} ${flush ? "flush" : ""}`}>
    ${title && html`<header class="panel-head"><h2>${title}</h2>${aside && html`<div class="panel-aside">${aside}</div>`}</header>`}
    <div class="panel-body">${children}</div>
  </section>`;
}

export const Loading = ({ lines = 4 }) => html`<div class="loading" role="status" aria-label="Loading">
  ${Array.from({ length: lines }, (_, index) => html`<span class=${`bone bone-${index % 3}`}></span>`)}
</div>`;

export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p>${children && html`<p>${children}</p>`}</div>`;

export const Problem = ({ error, what }) => html`<div class="problem" role="alert">
  <${Icon} name="errors" />
  <div><p class="problem-title">${what ?? "This could not be loaded"}</p><p>${error.message}</p></div>
</div>`;

/** Show one of the four states of a `useData` answer. */
export function Answer({ of, what, isEmpty, empty, lines, children }) {
  if (of.data === undefined && of.error) return html`<${Problem} error=${of.error} what=${what} />`;
  if (of.data === undefined) return html`<${Loading} lines=${lines} />`;
  return html`${of.error && html`<p class="stale" role="status">Not up to date: ${of.error.message}</p>`}
    ${isEmpty?.(of.data) ? empty : children(of.data)}`;
}

export const Chip = ({ tone = "", children, title }) => html`<span class=${`chip ${tone}`} title=${title}>${children}</span>`;

const SEVERITY_TONES = { DEBUG: "quiet", DEFAULT: "quiet", INFO: "info", NOTICE: "info", WARNING: "warn", ERROR: "bad", CRITICAL: "dire", ALERT: "dire", EMERGENCY: "dire" };

export const severityTone = (severity) => SEVERITY_TONES[severity] ?? "quiet";
export const Severity = ({ of }) => html`<span class=${`severity ${severityTone(of)}`}>${of || "DEFAULT"}</span>`;

const STATES = {
  ok: ["good", "OK"],
  pending: ["warn", "Pending"],
  firing: ["bad", "Firing"],
  error: ["dire", "Error"],
  unsupported: ["quiet", "Not evaluated"],
  open: ["bad", "Open"],
  closed: ["good", "Closed"],
  delivered: ["good", "Delivered"],
  inbox: ["info", "Inbox"],
  failed: ["bad", "Failed"],
};

export function State({ of }) {
  const [tone, text] = STATES[of] ?? ["quiet", of ?? "–"];
  return html`<span class=${`state ${tone}`}><span class="dot"></span>${text}</span>`;
}

export const Time = ({ ms }) => html`<time class="num" title=${dayAndTime(ms)} dateTime=${iso(ms)}>${ms ? moment(ms, clockNow.value) : "–"}</time>`;
export const Ago = ({ ms }) => html`<time class="num" title=${dayAndTime(ms)} dateTime=${iso(ms)}>${ago(ms, clockNow.value)}</time>`;

function iso(ms) {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : undefined;
}

/**
 * A table that becomes a list of cards on a narrow screen.
 * columns: [{name, label, isNumber, isWide, show: (row) => …}]; href: (row) => address of the whole row.
 */
export function Table({ columns, rows, id, href, caption }) {
  const follow = (event, row) => {
    if (href && !event.target.closest("a, button") && !String(getSelection())) go(href(row));
  };
  return html`<table class=${`table ${href ? "is-linked" : ""}`}>
    ${caption && html`<caption class="unseen">${caption}</caption>`}
    <thead><tr>${columns.map((column) => html`<th scope="col" class=${cell(column)}>${column.label}</th>`)}</tr></thead>
    <tbody>
      ${rows.map((row) => html`<tr key=${id(row)} onClick=${(event) => follow(event, row)}>
        ${columns.map((column, index) => html`<td class=${cell(column)} data-label=${column.label}>
          ${index === 0 && href ? html`<a class="row-link" href=${href(row)}>${column.show(row)}</a>` : column.show(row)}
        </td>`)}
      </tr>`)}
    </tbody>
  </table>`;
}

const cell = ({ isNumber, isWide, name }) => `col-${name} ${isNumber ? "num right" : ""} ${isWide ? "wide" : ""}`;

/** Attributes or labels as a list of names and values. */
export function Facts({ of }) {
  const entries = Object.entries(of ?? {});
  if (!entries.length) return html`<p class="quiet">None.</p>`;
  return html`<dl class="facts">${entries.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${asText(value)}</dd></div>`)}</dl>`;
}

export function asText(value) {
  if (typeof value === "string") return value;
  return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;
const MOST_COLOURED = 40_000; // characters; a longer text stays plain

export function Json({ of }) {
  const text = JSON.stringify(of, null, 2) ?? "";
  return html`<pre class="json" tabindex="0">${text.length > MOST_COLOURED ? text : coloured(text)}</pre>`;
}

function coloured(text) {
  const out = [];
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    const kind = found[2] ? "json-key" : found[1] ? "json-text" : "json-other";
    out.push(text.slice(at, found.index), html`<span class=${kind}>${found[1] ?? found[0]}</span>`, found[2] ?? "");
    at = found.index + found[0].length;
  }
  return [...out, text.slice(at)];
}
