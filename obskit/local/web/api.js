// Asks the backend. Every failure becomes an Error whose message a person can read.
import { api } from "./urls.js";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function request(url, options) {
  let reply;
  try {
    reply = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The backend does not answer. Is it still running?", 0);
  }
  let document = null;
  try {
    document = await reply.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (reply.ok) throw new ApiError(`The backend's answer from ${url.split("?")[0]} is not JSON.`, reply.status);
  }
  if (!reply.ok) throw new ApiError(problem(document) ?? `${reply.status} ${reply.statusText}`, reply.status);
  return document;
}

function problem(document) {
  if (!document) return null;
  if (typeof document.error === "string") return document.error;
  return document.error?.message ?? document.detail ?? null;
}

export const get = (url, signal) => request(url, { signal, headers: { accept: "application/json" } });

export const post = (url, body, signal) =>
  request(url, { method: "POST", signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Run a PromQL query over a range; returns [{labels, points: [[ms, value]]}]. */
export async function promRange(project, query, { start_ms, end_ms, step_ms }, signal) {
  const parameters = { query, start: start_ms / 1000, end: end_ms / 1000, step: step_ms / 1000 };
  const reply = await get(api.prometheus(project, "query_range", parameters), signal);
  return reply.data.result.map(({ metric, values }) => ({
    labels: metric,
    points: values.map(([seconds, value]) => [Math.round(seconds * 1000), number(value)]),
  }));
}

/** Run a PromQL query at one moment; returns [{labels, points: [[ms, value]]}]. */
export async function promInstant(project, query, at_ms, signal) {
  const { data } = await get(api.prometheus(project, "query", { query, time: at_ms / 1000 }), signal);
  if (data.resultType === "scalar") return [{ labels: {}, points: [[at_ms, number(data.result[1])]] }];
  if (data.resultType !== "vector") return [];
  return data.result.map(({ metric, value }) => ({ labels: metric, points: [[at_ms, number(value[1])]] }));
}

// Prometheus writes NaN and the infinities as text; a chart has a gap there.
function number(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
