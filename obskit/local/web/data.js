// Loads what a component shows, keeps it fresh, and drops answers that nobody waits for any more.
import { useEffect, useRef, useState } from "./html.js";
import { onChange } from "./state.js";

/**
 * Return {data, error, isLoading}. Old data stays while new data of the same key loads.
 *
 * key: what is asked for; a new key aborts the request of the old one (null: nothing to load).
 * load: (signal) => promise.
 * kinds: reload when data of these kinds changes, at most once per `gapMs` and never two at a time.
 */
export function useData(key, load, { kinds = [], gapMs = 1000, isPaused = false } = {}) {
  const [state, setState] = useState({ key, data: undefined, error: null });
  const current = useRef(null);
  current.current = { load, isPaused };
  const pending = useRef({});

  useEffect(() => {
    if (key === null) return undefined;
    let controller = null;
    let timer = null;
    let isStale = false;
    let finishedAt = 0;
    let tookMs = 0;

    async function run() {
      timer = null;
      controller = new AbortController();
      const mine = controller;
      const startedAt = performance.now();
      isStale = false;
      try {
        const data = await current.current.load(mine.signal);
        if (!mine.signal.aborted) setState({ key, data, error: null });
      } catch (error) {
        if (!mine.signal.aborted) setState((old) => ({ key, data: old.key === key ? old.data : undefined, error }));
      }
      if (mine.signal.aborted) return;
      controller = null;
      finishedAt = performance.now();
      tookMs = finishedAt - startedAt;
      if (isStale) schedule();
    }

    function schedule() {
      if (timer !== null) return;
      if (controller !== null || current.current.isPaused) {
        isStale = true;
        return;
      }
      // A slow answer must not keep the backend busy all the time.
      const gap = Math.max(gapMs, tookMs * 3);
      timer = setTimeout(run, Math.max(0, finishedAt + gap - performance.now()));
    }

    pending.current = { catchUp: () => isStale && controller === null && schedule() };
    run();
    const wanted = new Set([...kinds, "time"]);
    const stop = kinds.length ? onChange((changed) => [...changed].some((kind) => wanted.has(kind)) && schedule()) : () => {};
    return () => {
      stop();
      clearTimeout(timer);
      controller?.abort();
    };
  }, [key]);

  useEffect(() => {
    if (!isPaused) pending.current.catchUp?.();
  }, [isPaused]);

  const isCurrent = state.key === key;
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : null,
    isLoading: !isCurrent || (state.data === undefined && !state.error),
  };
}

/** Return [ref, isVisible]: charts out of sight do not ask for data. */
export function useVisible() {
  const reference = useRef(null);
  const [isVisible, setVisible] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => setVisible(entry.isIntersecting), { rootMargin: "120px" });
    observer.observe(reference.current);
    return () => observer.disconnect();
  }, []);
  return [reference, isVisible];
}
