// Waiting between attempts: longer each time, with jitter so that a thousand
// visitors do not come back in the same second, and never while offline.

const FIRST = 400;
const LONGEST = 8_000;

/** Waits before attempt number `failures` + 1. Ends early when the network comes back or `signal` aborts. */
export async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const offline = globalThis.navigator?.onLine === false;
  const ceiling = Math.min(LONGEST, FIRST * 2 ** (failures - 1));
  const delay = offline ? null : ceiling / 2 + (Math.random() * ceiling) / 2;
  await new Promise<void>((resolve) => {
    const timer = delay === null ? undefined : setTimeout(done, delay);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
    if (signal.aborted) done();
  });
}
