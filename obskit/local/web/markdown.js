// A small, safe subset of Markdown: it makes elements, never HTML text.
import { html } from "./html.js";
import { safeLink } from "./urls.js";

const INLINE = /(`[^`\n]+`)|\*{2,3}([^*\n]+)\*{2,3}|__([^_\n]+)__|\*([^*\n]+)\*|\[([^\]\n]*)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>)\]]+)/g;

function inline(text) {
  const out = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > at) out.push(text.slice(at, found.index));
    at = found.index + found[0].length;
    const [all, code, bold, strong, italic, label, target, bare] = found;
    if (code) out.push(html`<code>${code.slice(1, -1)}</code>`);
    else if (bold || strong) out.push(html`<strong>${bold || strong}</strong>`);
    else if (italic) out.push(html`<em>${italic}</em>`);
    else out.push(link(label || target || bare, target || bare, all));
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

function link(label, target, source) {
  const address = safeLink(target);
  return address ? html`<a href=${address} target="_blank" rel="noopener noreferrer">${label}</a>` : source;
}

const BLOCKS = [
  [/^(#{1,6})\s+(.*)$/, (found) => ({ kind: "heading", level: found[1].length, text: found[2] })],
  [/^\s*[-*+]\s+(.*)$/, (found) => ({ kind: "bullet", text: found[1] })],
  [/^\s*\d+[.)]\s+(.*)$/, (found) => ({ kind: "step", text: found[1] })],
  [/^>\s?(.*)$/, (found) => ({ kind: "quote", text: found[1] })],
  [/^\s*(?:---+|\*\*\*+)\s*$/, () => ({ kind: "rule" })],
];

function lines(text) {
  const out = [];
  let fence = null;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*```/.test(line)) {
      if (fence) out.push({ kind: "code", text: fence.join("\n") });
      fence = fence ? null : [];
    } else if (fence) fence.push(line);
    else out.push(block(line));
  }
  if (fence) out.push({ kind: "code", text: fence.join("\n") });
  return out;
}

function block(line) {
  for (const [pattern, make] of BLOCKS) {
    const found = pattern.exec(line);
    if (found) return make(found);
  }
  return line.trim() ? { kind: "text", text: line.trim() } : { kind: "gap" };
}

// Neighbours of the same kind belong together: one paragraph, one list, one quotation.
function groups(all) {
  const out = [];
  for (const each of all) {
    const last = out.at(-1);
    const joins = ["text", "bullet", "step", "quote"].includes(each.kind);
    if (joins && last?.kind === each.kind) last.items.push(each.text);
    else out.push({ ...each, items: [each.text] });
  }
  return out.filter(({ kind }) => kind !== "gap");
}

const item = (text) => html`<li>${inline(text)}</li>`;

const SHOW = {
  heading: ({ level, text }) => html`<p class=${`md-heading md-h${level}`} role="heading" aria-level=${Math.min(6, level + 2)}>${inline(text)}</p>`,
  text: ({ items }) => html`<p>${items.map((text, index) => [index ? " " : "", inline(text)])}</p>`,
  bullet: ({ items }) => html`<ul>${items.map(item)}</ul>`,
  step: ({ items }) => html`<ol>${items.map(item)}</ol>`,
  quote: ({ items }) => html`<blockquote>${items.map((text) => html`<p>${inline(text)}</p>`)}</blockquote>`,
  code: ({ text }) => html`<pre>${text}</pre>`,
  rule: () => html`<hr />`,
};

export function Markdown({ text }) {
  const shown = groups(lines(String(text ?? "").slice(0, 100_000)));
  return html`<div class="markdown">${shown.map((each) => SHOW[each.kind](each))}</div>`;
}
