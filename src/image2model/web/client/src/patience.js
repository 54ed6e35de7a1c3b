// Waiting before a call is tried again, and ending what takes too long.

const BASE_MS = 250;
const MOST_MS = 15_000;

/** Tries until `ms` have passed; waits between tries with exponential backoff and full jitter. */
export class Patience {
  /** @param {number} ms */
  constructor(ms) {
    this.ms = ms;
    this.failures = 0;
    this.deadline = 0;
    this.renew();
  }

  /** Forget the failures so far: something has arrived. */
  renew() {
    this.failures = 0;
    this.deadline = Date.now() + this.ms;
  }

  /**
   * Milliseconds until the next try; null where patience ends before it.
   *
   * @param {number | null} [after] milliseconds that the service asked for
   */
  next(after = null) {
    this.failures += 1;
    const backoff = Math.random() * Math.min(MOST_MS, BASE_MS * 2 ** this.failures);
    const wait = after === null ? backoff : after + Math.random() * BASE_MS;
    return Date.now() + wait < this.deadline ? wait : null;
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal ends the wait: its reason is thrown
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((done, fail) => {
    if (signal.aborted) return fail(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      fail(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      done();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
    return undefined;
  });
}

/** A signal that follows the caller's signals and, while it is set, a timer. `release` it at the end. */
export class Stop {
  /** @param {readonly (AbortSignal | undefined)[]} signals */
  constructor(signals) {
    const controller = new AbortController();
    this.controller = controller;
    this.signal = controller.signal;
    /** Whether the caller, and not the timer, has ended it. */
    this.wanted = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    const followed = signals.filter((one) => one !== undefined);
    const stop = () => {
      this.wanted = true;
      controller.abort(followed.find((one) => one.aborted)?.reason);
    };
    for (const one of followed) one.addEventListener('abort', stop);
    if (followed.some((one) => one.aborted)) stop();
    this.release = () => {
      clearTimeout(this.timer);
      for (const one of followed) one.removeEventListener('abort', stop);
    };
  }

  /** @param {number} ms @param {string} reason */
  set(ms, reason) {
    clearTimeout(this.timer);
    if (ms < 2 ** 31) this.timer = setTimeout(() => this.controller.abort(new DOMException(reason, 'TimeoutError')), ms);
  }
}
