// Light or dark: the system's choice until the reader makes one.
import { signal, effect } from "./html.js";

const KEY = "obskit-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const stored = read();

export const theme = signal(stored ?? (system.matches ? "dark" : "light"));

function read() {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null; // storage may be switched off; the system's choice then stands
  }
}

let isChosen = stored !== null;
system.addEventListener("change", () => {
  if (!isChosen) theme.value = system.matches ? "dark" : "light";
});

export function toggleTheme() {
  isChosen = true;
  theme.value = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // the choice then lasts as long as the page
  }
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** Read a colour of the current theme, for canvases. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The chart palette of the current theme; eight hues that stay apart for colour-blind readers. */
export const palette = () => Array.from({ length: 8 }, (_, index) => colour(`chart-${index + 1}`));

/** Mix two #rrggbb colours; weight is the first one's share. */
export function mix(first, second, weight) {
  const [a, b] = [channels(first), channels(second)];
  return `rgb(${a.map((value, index) => Math.round(value * weight + b[index] * (1 - weight))).join(" ")})`;
}

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
