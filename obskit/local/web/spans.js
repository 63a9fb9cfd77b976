// Spans of a trace → a tree in the order of time, and what an AI span says about itself.

/** Return [{span, depth, hasChildren, path}] depth first; a span whose parent is missing is a root. */
export function tree(spans) {
  const ids = new Set(spans.map(({ span_id }) => span_id));
  const children = new Map();
  for (const span of spans) {
    const parent = ids.has(span.parent_span_id) && span.parent_span_id !== span.span_id ? span.parent_span_id : "";
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(span);
  }
  for (const list of children.values()) list.sort((a, b) => a.start_ms - b.start_ms);
  const out = [];
  const seen = new Set();
  const waiting = (children.get("") ?? []).toReversed().map((span) => ({ span, depth: 0, path: [] }));
  while (waiting.length) {
    const { span, depth, path } = waiting.pop();
    if (seen.has(span.span_id)) continue;
    seen.add(span.span_id);
    const own = children.get(span.span_id) ?? [];
    out.push({ span, depth, path, hasChildren: own.length > 0 });
    for (const child of own.toReversed()) waiting.push({ span: child, depth: depth + 1, path: [...path, span.span_id] });
  }
  // Spans whose parents form a circle have no root; they are shown all the same.
  for (const span of spans) if (!seen.has(span.span_id)) out.push({ span, depth: 0, path: [], hasChildren: false });
  return out;
}

/** Return {model, isTool, input, output, cost_usd} of an AI span, or null. */
export function aiOf({ attributes }) {
  if (!attributes) return null;
  const model = attributes["gen_ai.response.model"] ?? attributes["gen_ai.request.model"];
  if (!model && attributes["gen_ai.operation.name"] === undefined) return null;
  return {
    model: model ?? attributes["gen_ai.operation.name"],
    isTool: attributes["gen_ai.operation.name"] === "execute_tool",
    input: number(attributes["gen_ai.usage.input_tokens"]),
    output: number(attributes["gen_ai.usage.output_tokens"]),
    cost_usd: number(attributes["obskit.gen_ai.cost_usd"]),
  };
}

// Cloud Trace has no fractions among its attributes: they come as text.
function number(value) {
  const found = value === undefined || value === "" ? NaN : Number(value);
  return Number.isFinite(found) ? found : undefined;
}

export const hasFailed = ({ status }) => status?.code === "ERROR" || status?.code === 2 || status?.code === "STATUS_CODE_ERROR";
