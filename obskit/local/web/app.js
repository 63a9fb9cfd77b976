// The frame of every page: navigation, clock, time range, theme.
import { html, render, signal, useEffect, useErrorBoundary } from "./html.js";
import * as state from "./state.js";
import { useData } from "./data.js";
import { get } from "./api.js";
import { api, page } from "./urls.js";
import { theme, toggleTheme } from "./theme.js";
import { timeOfDay, dayAndTime } from "./format.js";
import { Icon } from "./icons.js";
import { Page, Problem, Empty } from "./parts.js";
import { Overview } from "./pages/overview.js";
import { Dashboards } from "./pages/dashboards.js";
import { Dashboard } from "./pages/dashboard.js";
import { Traces } from "./pages/traces.js";
import { Trace } from "./pages/trace.js";
import { Logs } from "./pages/logs.js";
import { Errors } from "./pages/errors.js";
import { ErrorGroup } from "./pages/error.js";
import { Alerts } from "./pages/alerts.js";
import { Incidents } from "./pages/incidents.js";
import { Incident } from "./pages/incident.js";
import { Inbox } from "./pages/inbox.js";
import { Llm } from "./pages/llm.js";

const PAGES = {
  overview: Overview, dashboards: Dashboards, dashboard: Dashboard, traces: Traces, trace: Trace, logs: Logs,
  errors: Errors, error: ErrorGroup, alerts: Alerts, incidents: Incidents, incident: Incident, inbox: Inbox, llm: Llm,
};

const NAVIGATION = [
  ["overview", "Overview", page.overview(), ["overview"]],
  ["dashboards", "Dashboards", page.dashboards(), ["dashboards", "dashboard"]],
  ["traces", "Traces", page.traces(), ["traces", "trace"]],
  ["logs", "Logs", page.logs(), ["logs"]],
  ["errors", "Errors", page.errors(), ["errors", "error"]],
  ["alerts", "Alerts", page.alerts(), ["alerts", "incidents", "incident"]],
  ["inbox", "Inbox", page.inbox(), ["inbox"]],
  ["llm", "AI cost", page.llm(), ["llm"]],
];

// Pages whose content does not depend on the range do not offer one.
const TIMED = new Set(["overview", "dashboard", "traces", "logs", "llm"]);
const isMenuOpen = signal(false);

function Navigation({ current }) {
  const incidents = useData("open-incidents", (signal) => get(api.incidents("open"), signal), { kinds: ["incidents"], gapMs: 2000 });
  const open = incidents.data?.incidents?.length ?? 0;
  return html`<nav id="navigation" class=${`navigation ${isMenuOpen.value ? "is-open" : ""}`} aria-label="Main">
    <ul>
      ${NAVIGATION.map(([name, label, href, owned]) => html`<li key=${name}>
        <a href=${href} aria-current=${owned.includes(current) ? "page" : undefined} onClick=${() => (isMenuOpen.value = false)}>
          <${Icon} name=${name} /><span>${label}</span>
          ${name === "alerts" && open > 0 && html`<span class="badge" aria-label=${`${open} open incidents`}>${open}</span>`}
        </a>
      </li>`)}
    </ul>
  </nav>`;
}

function RangePicker() {
  const shown = state.shownTime();
  if (shown.fixed) {
    return html`<div class="range fixed">
      <span class="num">${dayAndTime(shown.start_ms)} – ${timeOfDay(shown.end_ms)}</span>
      <button type="button" class="plain" onClick=${() => state.setParameters({ from: "", to: "" })} aria-label="Back to the present"><${Icon} name="close" /></button>
    </div>`;
  }
  return html`<div class="range" role="group" aria-label="Time range">
    ${state.RANGES.map(({ id, label }) => html`<button type="button" key=${id} aria-pressed=${state.range.value === id ? "true" : "false"} onClick=${() => (state.range.value = id)}>${label}</button>`)}
  </div>`;
}

function Clock() {
  const now = state.clockNow.value;
  const scale = state.info.value?.clock?.scale;
  const time = html`<span class="num">${timeOfDay(now)}</span>`;
  if (!state.isAccelerated()) return html`<span class="clock" title=${`The backend's clock: ${dayAndTime(now)}`}><${Icon} name="clock" />${time}</span>`;
  return html`<span class="clock is-fast" title=${`The backend's clock runs ${scale} times as fast as a wall clock; it shows ${dayAndTime(now)}`}>
    <${Icon} name="clock" />${time}<strong>accelerated ${Number(scale?.toPrecision?.(3) ?? scale)}×</strong>
  </span>`;
}

const CONNECTIONS = { connected: "Live", polling: "Polling", connecting: "Connecting" };

function LiveSwitch() {
  const isLive = state.live.value;
  const text = isLive ? CONNECTIONS[state.connection.value] : "Paused";
  return html`<button type="button" class=${`live ${isLive ? state.connection.value : "paused"}`} aria-pressed=${isLive ? "true" : "false"} title=${isLive ? "Pause live updates" : "Resume live updates"} onClick=${() => (state.live.value = !isLive)}>
    <span class="dot"></span>${text}
  </button>`;
}

function Frame({ current, children }) {
  return html`<div class="frame">
    <a class="skip" href="#content">Skip to content</a>
    <header class="bar">
      <a class="brand" href=${page.overview()}><img src="/static/icon.svg" alt="" width="24" height="24" /><span>obskit</span></a>
      <span class="project" title="Project">${state.project()}</span>
      <div class="bar-tools">
        ${TIMED.has(current) && html`<${RangePicker} />`}
        <${Clock} />
        <${LiveSwitch} />
        <button type="button" class="plain theme" onClick=${toggleTheme} aria-label=${theme.value === "dark" ? "Use the light theme" : "Use the dark theme"}><${Icon} name=${theme.value === "dark" ? "sun" : "moon"} /></button>
        <button type="button" class="plain menu" aria-expanded=${isMenuOpen.value ? "true" : "false"} aria-controls="navigation" onClick=${() => (isMenuOpen.value = !isMenuOpen.value)} aria-label="Menu"><${Icon} name=${isMenuOpen.value ? "close" : "menu"} /></button>
      </div>
    </header>
    <${Navigation} current=${current} />
    <div class="content">
      ${state.infoProblem.value && html`<p class="banner" role="alert">${state.infoProblem.value}</p>`}
      ${children}
    </div>
  </div>`;
}

let arrivals = 0;

// What one page throws must not take the navigation with it.
function Guard({ children }) {
  const [error, reset] = useErrorBoundary((problem) => console.error(problem));
  const path = state.place.value.path;
  useEffect(() => {
    // Who reads with a screen reader or the keyboard goes on at the new page's begin.
    if (arrivals > 0) document.getElementById("content")?.focus({ preventScroll: true });
    arrivals += 1;
    return reset;
  }, [path]);
  if (error) return html`<${Page} title="This page failed"><${Problem} error=${error} what="A part of this page could not be shown" /></${Page}>`;
  return children;
}

function App() {
  const found = state.route();
  const name = found?.name;
  const label = NAVIGATION.find(([, , , owned]) => owned.includes(name))?.[1] ?? "Not found";
  useEffect(() => {
    document.title = `${label} · obskit`;
  }, [label]);
  const shown = found
    ? html`<${PAGES[name]} key=${state.place.value.path} id=${found.id} />`
    : html`<${Page} title="Not found"><${Empty} title="There is nothing at this address">Choose a page from the navigation.</${Empty}></${Page}>`;
  return html`<${Frame} current=${name}><${Guard} key=${state.place.value.path}>${shown}</${Guard}></${Frame}>`;
}

await state.start();
render(html`<${App} />`, document.getElementById("app"));
