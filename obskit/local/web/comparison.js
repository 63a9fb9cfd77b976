// An alert's query is a value compared with a limit; a chart wants the two apart.

const OPERATORS = [">=", "<=", "==", "!=", ">", "<"];
const CLOSING = { "(": ")", "[": "]", "{": "}" };

/**
 * Return {value, operator, limit} of a PromQL comparison, both sides as text, or null where there is not exactly one.
 *
 * What follows a top-level `and` or `unless` is a guard and left out; `or` joins two alerts and is not split.
 */
export function compared(query) {
  const found = [];
  let end = query.length;
  for (const { at, text } of topLevel(query)) {
    if (text === "or") return null;
    if (text === "and" || text === "unless") {
      end = at;
      break;
    }
    found.push({ at, text });
  }
  if (found.length !== 1) return null;
  const [{ at, text: operator }] = found;
  const limit = query.slice(at + operator.length, end).replace(/^\s*bool\b/, "").trim();
  const value = query.slice(0, at).trim();
  return value && limit ? { value, operator, limit } : null;
}

// The operators outside of all brackets and strings.
function* topLevel(query) {
  const open = [];
  for (let at = 0; at < query.length; at += 1) {
    const character = query[at];
    if ("\"'`".includes(character)) at = endOfString(query, at);
    else if (character in CLOSING) open.push(CLOSING[character]);
    else if (character === open.at(-1)) open.pop();
    else if (!open.length) {
      const text = OPERATORS.find((each) => query.startsWith(each, at)) ?? /^(?:and|or|unless)\b/i.exec(isWordStart(query, at) ? query.slice(at, at + 7) : "")?.[0].toLowerCase();
      if (!text) continue;
      yield { at, text };
      at += text.length - 1;
    }
  }
}

const isWordStart = (query, at) => at === 0 || !/[\w:]/.test(query[at - 1]);

function endOfString(query, from) {
  const quote = query[from];
  let at = from + 1;
  while (at < query.length && query[at] !== quote) at += query[at] === "\\" && quote !== "`" ? 2 : 1;
  return at;
}
