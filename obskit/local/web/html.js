// The one place that knows which rendering library is in use.
import { h, render, Fragment } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { render, Fragment };
export { useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useErrorBoundary } from "./vendor/preact-hooks.js";
export { signal, effect } from "./vendor/signals.js";
