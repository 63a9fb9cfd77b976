// Numbers, units and times as people read them.

const compactNumber = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// Telemetry may hold anything where a number belongs.
const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

const trim = (value, digits) => String(Number(value.toPrecision(digits)));

export function count(value) {
  return !isKnown(value) ? "–" : whole.format(value);
}

export function compact(value) {
  if (!isKnown(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.001) return value.toExponential(1);
  if (size < 1) return trim(value, 3);
  if (size < 1000) return plain.format(Number(value.toPrecision(4)));
  return compactNumber.format(value);
}

export function duration(ms) {
  if (!isKnown(ms)) return "–";
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 1) return `${trim(ms * 1000, 3)} µs`;
  if (size < 1000) return `${trim(ms, 3)} ms`;
  if (size < 60_000) return `${trim(ms / 1000, 3)} s`;
  if (size < 3_600_000) return parts(ms, 60_000, "min", 1000, "s");
  if (size < 86_400_000) return parts(ms, 3_600_000, "h", 60_000, "min");
  return parts(ms, 86_400_000, "d", 3_600_000, "h");
}

function parts(ms, big, bigName, small, smallName) {
  const first = Math.floor(ms / big);
  const second = Math.floor((ms % big) / small);
  return second ? `${first} ${bigName} ${second} ${smallName}` : `${first} ${bigName}`;
}

export function usd(value) {
  if (!isKnown(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "$0";
  if (size < 1e-9) return `$${value.toExponential(1)}`;
  if (size < 0.001) return `$${value.toFixed(1 - Math.floor(Math.log10(size)))}`;
  if (size < 1) return `$${value.toFixed(4).replace(/0{1,2}$/, "")}`;
  return size < 10_000 ? `$${value.toFixed(2)}` : `$${compactNumber.format(value)}`;
}

export function share(ratio) {
  if (!isKnown(ratio)) return "–";
  const percent = ratio * 100;
  if (percent === 0) return "0 %";
  return `${Math.abs(percent) < 0.1 ? trim(percent, 1) : Math.abs(percent) < 10 ? trim(percent, 2) : trim(percent, 3)} %`;
}

function bytes(value) {
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let index = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && index < names.length - 1) {
    size /= 1024;
    index += 1;
  }
  return `${trim(size, 3)} ${names[index]}`;
}

const TIME_UNITS = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTE_UNITS = { By: 1, KiBy: 1024, MiBy: 1024 ** 2, GiBy: 1024 ** 3, kBy: 1e3, MBy: 1e6, GBy: 1e9 };

/** Write a value with its UCUM unit, as Cloud Monitoring names units. */
export function withUnit(value, unit = "") {
  if (!isKnown(value)) return "–";
  if (unit in TIME_UNITS) return duration(value * TIME_UNITS[unit]);
  if (unit in BYTE_UNITS) return bytes(value * BYTE_UNITS[unit]);
  if (unit === "By/s") return `${bytes(value)}/s`;
  if (unit === "10^2.%") return share(value);
  if (unit === "%") return share(value / 100);
  if (unit === "USD" || unit === "$") return usd(value);
  if (unit === "" || unit === "1") return compact(value);
  if (unit === "1/s") return `${compact(value)}/s`;
  const annotation = /^\{(.*)\}$/.exec(unit);
  if (annotation) return `${compact(value)} ${plural(annotation[1], value)}`;
  return `${compact(value)} ${unit.replace(/[{}]/g, "")}`;
}

/** The same in two parts, for large type: the number, and its unit where that is a word. */
export function inParts(value, unit = "") {
  const text = withUnit(value, unit);
  const at = /^\{.+\}$/.test(unit) ? text.indexOf(" ") : -1;
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** The same for an axis, where the words of the unit stand in the axis' title. */
export function onAxis(value, unit = "") {
  if (value === 0 && unit in TIME_UNITS) return "0";
  return /^\{.*\}$/.test(unit) || unit === "1/s" ? compact(value) : withUnit(value, unit);
}

export const plural = (word, value) => (value === 1 || !word || word.endsWith("s") ? word : `${word}s`);

/** "3 spans" */
export const counted = (value, word) => `${count(value)} ${plural(word, value)}`;

const two = (value) => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function timeOfDay(ms, { millis = false } = {}) {
  if (!isKnown(ms)) return "–";
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return millis ? `${clock}.${String(at.getMilliseconds()).padStart(3, "0")}` : clock;
}

export function dayAndTime(ms) {
  if (!isKnown(ms)) return "–";
  const at = new Date(ms);
  return `${at.getDate()} ${MONTHS[at.getMonth()]} ${timeOfDay(ms)}`;
}

/** Time alone within the last 18 hours, else with its day. */
export function moment(ms, nowMs) {
  return Math.abs(nowMs - ms) < 64_800_000 ? timeOfDay(ms) : dayAndTime(ms);
}

export function ago(ms, nowMs) {
  if (!isKnown(ms)) return "–";
  const seconds = (nowMs - ms) / 1000;
  if (seconds < 5) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}
