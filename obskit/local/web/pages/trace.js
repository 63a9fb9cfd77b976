// One trace as a waterfall.
import { html, useState, useEffect } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { place } from "../state.js";
import { useData } from "../data.js";
import { theme, palette } from "../theme.js";
import { Page, Panel, Answer, Empty, Facts, Chip, State } from "../parts.js";
import { Icon } from "../icons.js";
import { LogRows } from "../logrows.js";
import { tree, aiOf, hasFailed } from "../spans.js";
import { compact, counted, dayAndTime, duration, usd } from "../format.js";

export function Trace({ id }) {
  const answer = useData(`trace ${id}`, (signal) => get(api.trace(id), signal), { kinds: ["traces", "logs"], gapMs: 2000 });
  const root = answer.data ? tree(answer.data.spans)[0]?.span : null;
  return html`<${Page} title=${root?.name ?? "Trace"} back=${{ href: page.traces(), label: "Traces" }} lead=${html`<code class="id">${id}</code>`}>
    <${Answer} of=${answer} what="This trace could not be loaded" lines=${12} isEmpty=${({ spans, logs }) => !spans.length && !logs.length} empty=${html`<${Empty} title="This trace has no spans" />`}>
      ${(data) => html`<${Content} ...${data} />`}
    </${Answer}>
  </${Page}>`;
}

function Content({ spans, logs }) {
  const [selected, select] = useState(place.value.hash);
  const [shut, setShut] = useState(new Set());
  useEffect(() => select(place.value.hash), [place.value.hash]);
  const start = Math.min(...spans.map(({ start_ms }) => start_ms));
  const total = Math.max(...spans.map((span) => span.start_ms + span.duration_ms - start), 0.001);
  const services = [...new Set(spans.map(({ service }) => service))];
  const colours = theme.value && palette();
  const tint = (service) => colours[services.indexOf(service) % colours.length];
  const rows = tree(spans).filter(({ path }) => !path.some((parent) => shut.has(parent)));

  function toggle(spanId) {
    const next = new Set(shut);
    if (!next.delete(spanId)) next.add(spanId);
    setShut(next);
  }

  return html`
    ${spans.length > 0 && html`<${Summary} spans=${spans} total=${total} start=${start} services=${services} tint=${tint} />
    <${Panel} flush>
      <div class="waterfall">
        <${Ruler} total=${total} />
        ${rows.map((row) => html`<${SpanRow} key=${row.span.span_id} row=${row} start=${start} total=${total} tint=${tint(row.span.service)}
          isShut=${shut.has(row.span.span_id)} toggle=${toggle} isSelected=${selected === row.span.span_id}
          select=${() => select(selected === row.span.span_id ? "" : row.span.span_id)} />`)}
      </div>
    </${Panel}>`}
    <${Panel} title="Logs of this trace" aside=${html`<span class="quiet num">${logs.length}</span>`} flush>
      ${logs.length ? html`<${LogRows} entries=${logs.toSorted((a, b) => a.time_ms - b.time_ms)} hasTraceLink=${false} />` : html`<${Empty} title="No log entry carries this trace" />`}
    </${Panel}>`;
}

function Summary({ spans, total, start, services, tint }) {
  const calls = spans.map(aiOf).filter((call) => call && !call.isTool);
  const sum = (name) => calls.reduce((all, call) => all + (Number(call[name]) || 0), 0);
  const failed = spans.filter(hasFailed).length;
  return html`<div class="trace-summary">
    <span><strong class="num">${duration(total)}</strong></span>
    <span class="num">${counted(spans.length, "span")}</span>
    ${failed > 0 && html`<${Chip} tone="bad">${failed} failed</${Chip}>`}
    ${calls.length > 0 && html`<${Chip} tone="ai"><${Icon} name="llm" />${counted(calls.length, "AI call")} · ${compact(sum("input"))} in · ${compact(sum("output"))} out${sum("cost_usd") ? ` · ${usd(sum("cost_usd"))}` : ""}</${Chip}>`}
    <span class="services-key">${services.map((name) => html`<span><i class="legend-key" style=${{ backgroundColor: tint(name) }}></i>${name}</span>`)}</span>
    <span class="quiet num">${dayAndTime(start)}</span>
  </div>`;
}

function Ruler({ total }) {
  return html`<div class="ruler" aria-hidden="true"><span class="ruler-name">Span</span><div class="ruler-scale">
    ${[0, 0.25, 0.5, 0.75, 1].map((part) => html`<span class="num" style=${{ left: `${part * 100}%` }}>${duration(total * part)}</span>`)}
  </div></div>`;
}

function SpanRow({ row, start, total, tint, isShut, toggle, isSelected, select }) {
  const { span, depth, hasChildren } = row;
  const ai = aiOf(span);
  const left = ((span.start_ms - start) / total) * 100;
  const width = Math.max(0.2, (span.duration_ms / total) * 100);
  const isInside = width > 40;
  const isLate = left + width > (ai ? 72 : 82);
  const labelAt = isInside ? { right: `${Math.max(0, 100 - left - width)}%` } : isLate ? { right: `${100 - left}%` } : { left: `${left + width}%` };
  return html`<div class=${`span ${isSelected ? "is-selected" : ""} ${hasFailed(span) ? "is-failed" : ""} ${ai ? "is-ai" : ""}`}>
    <div class="span-head">
      <div class="span-name" style=${{ "--depth": Math.min(depth, 12) }}>
        ${hasChildren
          ? html`<button type="button" class="plain twist" aria-expanded=${isShut ? "false" : "true"} aria-label=${`Children of ${span.name}`} onClick=${() => toggle(span.span_id)}><${Icon} name="chevron" /></button>`
          : html`<span class="twist"></span>`}
        <i class="span-service" style=${{ backgroundColor: tint }} title=${span.service}></i>
        <button type="button" class="span-open" aria-expanded=${isSelected ? "true" : "false"} onClick=${select} title=${span.name}>
          ${ai && html`<${Icon} name="llm" />`}${hasFailed(span) && html`<${Icon} name="errors" label="failed" />`}<span>${span.name}</span>
        </button>
        ${ai && html`<span class="span-ai is-narrow num">${aiText(ai)}</span>`}
      </div>
      <div class="span-track" onClick=${select}>
        <span class="span-bar" style=${{ left: `${left}%`, width: `${width}%`, backgroundColor: tint }}></span>
        ${(span.events ?? []).map((event) => html`<span class=${`span-event ${event.name === "exception" ? "bad" : ""}`} style=${{ left: `${Math.min(100, Math.max(0, ((event.time_ms - start) / total) * 100))}%` }} title=${event.name}></span>`)}
        <span class=${`span-length num ${isInside ? "is-inside" : ""}`} style=${labelAt}>
          ${duration(span.duration_ms)}${ai && html`<span class="span-ai is-wide">${aiText(ai)}</span>`}
        </span>
      </div>
    </div>
    ${isSelected && html`<${SpanDetail} span=${span} start=${start} />`}
  </div>`;
}

function aiText({ input, output, cost_usd }) {
  const tokens = input === undefined && output === undefined ? "" : `${compact(input ?? 0)} → ${compact(output ?? 0)} tok`;
  return [tokens, cost_usd === undefined ? "" : usd(cost_usd)].filter(Boolean).join(" · ");
}

function SpanDetail({ span, start }) {
  return html`<div class="span-detail">
    <div class="span-facts">
      <span><${Chip}>${span.service}</${Chip}> <${Chip}>${span.kind}</${Chip}></span>
      <span class="quiet num">at ${duration(span.start_ms - start)}, for ${duration(span.duration_ms)}</span>
      ${hasFailed(span) && html`<span class="failed-text"><${State} of="failed" /> ${span.status.message}</span>`}
      <code class="id">${span.span_id}</code>
    </div>
    <div class="pair">
      <section><h3>Attributes</h3><${Facts} of=${span.attributes} /></section>
      <section><h3>Events</h3>
        ${(span.events ?? []).length
          ? span.events.map((event) => html`<article class="event"><p><strong>${event.name}</strong> <span class="quiet num">at ${duration(event.time_ms - start)}</span></p><${Facts} of=${event.attributes} /></article>`)
          : html`<p class="quiet">None.</p>`}
      </section>
    </div>
  </div>`;
}
