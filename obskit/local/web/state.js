// What all pages share: the backend's clock, the shown time range, live updates, the place.
import { signal } from "./html.js";
import { get } from "./api.js";
import { api, match } from "./urls.js";

// ---------------------------------------------------------------- the backend's clock

export const info = signal(null);
export const infoProblem = signal(null);
export const clockNow = signal(Date.now());
let anchor = { at: performance.now(), ms: Date.now(), scale: 1 };

export const nowMs = () => Math.round(anchor.ms + (performance.now() - anchor.at) * anchor.scale);
export const project = () => info.value?.project ?? "local-project";
export const isAccelerated = () => info.value?.clock?.state === "accelerated";

function setClock(ms, scale = anchor.scale) {
  anchor = { at: performance.now(), ms, scale };
  clockNow.value = ms;
}

export async function loadInfo() {
  try {
    const next = await get(api.info());
    const fast = next.clock?.state === "accelerated";
    setClock(next.now_ms, fast ? next.clock.scale : 1);
    info.value = next;
    infoProblem.value = null;
  } catch (error) {
    infoProblem.value = error.message;
  }
}

// ---------------------------------------------------------------- the place

const here = () => ({ path: location.pathname, search: new URLSearchParams(location.search), hash: location.hash.slice(1) });
export const place = signal(here());
export const route = () => match(place.value.path);

export function go(url, { replace = false } = {}) {
  const isSamePath = new URL(url, location.href).pathname === location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  place.value = here();
  if (!isSamePath) window.scrollTo(0, 0);
}

/** Change parameters of the current address; an empty value removes one, a list gives it several times. */
export function setParameters(changes, { replace = true } = {}) {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    search.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined && each !== null && each !== "") search.append(name, each);
  }
  const text = search.toString();
  go(`${location.pathname}${text ? `?${text}` : ""}`, { replace });
}

window.addEventListener("popstate", () => (place.value = here()));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || link.getAttribute("href").startsWith("#") || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !match(url.pathname)) return;
  event.preventDefault();
  go(url.pathname + url.search + url.hash);
});

// ---------------------------------------------------------------- the time range

export const RANGES = [
  { id: "15m", label: "15 m", words: "15 minutes", ms: 900_000 },
  { id: "1h", label: "1 h", words: "hour", ms: 3_600_000 },
  { id: "6h", label: "6 h", words: "6 hours", ms: 21_600_000 },
  { id: "1d", label: "1 d", words: "day", ms: 86_400_000 },
  { id: "7d", label: "7 d", words: "7 days", ms: 604_800_000 },
];
export const range = signal("1h");

/** The shown time: {start_ms, end_ms, ms, key, fixed}; fixed where the address names a moment, or a widget its own. */
export function shownTime(own) {
  if (own) return ownTime(own);
  const from = Number(place.value.search.get("from"));
  const to = Number(place.value.search.get("to"));
  if (from > 0 && to > from) return { start_ms: from, end_ms: to, ms: to - from, key: `${from}-${to}`, fixed: true };
  const { ms } = RANGES.find(({ id }) => id === range.value);
  const end_ms = nowMs();
  return { start_ms: end_ms - ms, end_ms, ms, key: range.value, fixed: false };
}

// A widget's `timeRange`: the last so long, or from one moment to another.
function ownTime({ relativeDuration, absoluteWindow: { startTime, endTime } = {} }) {
  const last_ms = parseFloat(relativeDuration) * 1000;
  if (last_ms > 0) {
    const { end_ms, fixed } = shownTime();
    return { start_ms: end_ms - last_ms, end_ms, ms: last_ms, key: `${relativeDuration} to ${fixed ? end_ms : "now"}`, fixed };
  }
  const [start_ms, end_ms] = [Date.parse(startTime), Date.parse(endTime)];
  return end_ms > start_ms ? { start_ms, end_ms, ms: end_ms - start_ms, key: `${start_ms}-${end_ms}`, fixed: true } : shownTime();
}

// ---------------------------------------------------------------- live updates

export const live = signal(true);
export const connection = signal("connecting"); // connected | polling | connecting
const listeners = new Set();

/** Call back with the set of kinds that changed; returns how to stop. */
export function onChange(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

const ALL = new Set(["traces", "logs", "metrics", "errors", "incidents", "notifications", "objects"]);
const tell = (kinds) => listeners.forEach((callback) => callback(kinds));

let source = null;
let lastEvent = 0;

function connect() {
  source?.close();
  source = new EventSource(api.live());
  source.addEventListener("change", (event) => {
    const { kinds, now_ms } = JSON.parse(event.data);
    lastEvent = performance.now();
    connection.value = "connected";
    if (now_ms) setClock(now_ms);
    if (live.value && kinds.length) tell(new Set(kinds));
  });
  source.addEventListener("error", () => (connection.value = "polling"));
}

/** Start the clock, the live stream and its fallback. */
export async function start() {
  await loadInfo();
  connect();
  setInterval(() => (clockNow.value = nowMs()), 1000);
  setInterval(loadInfo, 5000);
  setInterval(() => {
    if (document.hidden) return;
    if (source.readyState === EventSource.CLOSED) connect();
    if (live.value && connection.value === "polling") tell(ALL);
    // A moving window moves even when nothing arrives.
    else if (live.value && performance.now() - lastEvent > 4000) tell(new Set(["time"]));
  }, 5000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close();
    else {
      connect();
      tell(ALL);
    }
  });
}
