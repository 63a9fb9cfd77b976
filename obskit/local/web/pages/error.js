// One error group and its events.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { api, page, safeLink } from "../urls.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty, Chip, Time, Ago } from "../parts.js";
import { count } from "../format.js";

export function ErrorGroup({ id }) {
  const [at, show] = useState(0);
  const answer = useData(`error ${id}`, (signal) => get(api.error(id), signal), { kinds: ["errors"], gapMs: 2000 });
  return html`<${Page} title=${answer.data?.group.type ?? "Error"} back=${{ href: page.errors(), label: "Errors" }} lead=${answer.data?.group.message}>
    <${Answer} of=${answer} what="This error could not be loaded" lines=${10}>
      ${({ group, events }) => html`
        <div class="trace-summary">
          <strong class="num">${count(group.count)}×</strong><${Chip}>${group.service}</${Chip}>
          <span class="num">${count(group.affected_users)} affected users</span>
          <span class="quiet">first <${Time} ms=${group.first_ms} /> · last <${Ago} ms=${group.last_ms} /></span>
        </div>
        ${events.length ? html`<div class="events-pair">
          <${Panel} title="Events" flush><${EventList} events=${events} at=${Math.min(at, events.length - 1)} show=${show} /></${Panel}>
          <${Event} event=${events[Math.min(at, events.length - 1)]} />
        </div>` : html`<${Empty} title="No event of this error is stored" />`}`}
    </${Answer}>
  </${Page}>`;
}

function EventList({ events, at, show }) {
  return html`<ul class="event-list">${events.map((event, index) => html`<li key=${index}>
    <button type="button" aria-pressed=${index === at ? "true" : "false"} onClick=${() => show(index)}>
      <${Time} ms=${event.time_ms} /><span>${event.http ? `${event.http.method ?? ""} ${pathOf(event.http.url)}` : event.location?.function || "no request"}</span>
    </button>
  </li>`)}</ul>`;
}

function Event({ event }) {
  const { stack, service, version, user, http, trace_id, location, time_ms } = event;
  const facts = [
    ["Service", [service, version].filter(Boolean).join(" ")],
    ["Request", http ? [http.method, http.url, http.status].filter(Boolean).join(" ") : ""],
    ["User", user],
    ["Place", location ? `${location.file ?? ""}:${location.line ?? ""} ${location.function ?? ""}` : ""],
  ].filter(([, value]) => value);
  return html`<${Panel} title="Stack" aside=${html`<span class="links">
      ${trace_id
        ? html`<a href=${page.trace(trace_id)}>Trace</a><a href=${page.logs({ trace_id })}>Logs</a>`
        : html`<a href=${page.traces({ ...around(time_ms), service, errors: "1" })}>Failed traces around then</a><a href=${page.logs({ ...around(time_ms), service, severity: "ERROR" })}>Logs</a>`}<${Time} ms=${time_ms} /></span>`}>
    <dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <pre class="stack" tabindex="0">${(stack || "No stack trace was reported.").split("\n").map((line) => html`<span class=${frameClass(line)}>${line}${"\n"}</span>`)}</pre>
  </${Panel}>`;
}

// An error that came by Error Reporting's API names no trace.
const around = (ms) => ({ from: Math.round(ms - 60_000), to: Math.round(ms + 60_000) });

function pathOf(url) {
  const link = safeLink(url);
  return link ? new URL(link).pathname : url ?? "";
}

const LIBRARY = /site-packages|\/lib\/python|<frozen/;

function frameClass(line) {
  if (/^\s+File "/.test(line)) return LIBRARY.test(line) ? "is-library" : "is-own";
  return /^\S/.test(line) ? "is-title" : "is-code";
}
