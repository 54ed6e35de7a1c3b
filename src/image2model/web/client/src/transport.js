// HTTP by `fetch`: deadlines, refusals as errors, and calls that are tried again. A call is tried again where the
// service refused it for now, where it was certainly not sent, or where it is `safe`: done twice it does no harm.

import { ClientError, ProblemError, Unreachable, problemOf } from './errors.js';
import { Patience, Stop, pause } from './patience.js';
import { sendByXhr } from './xhr.js';

/** @import { Call, ClientOptions, OnProgress } from './documents.js' */

const BASE = '/api/v1';
const CALL_MS = 30_000;
const SLOWEST_UPLOAD = 32; // bytes a millisecond: a slower try ends

export class Transport {
  /** @param {ClientOptions} options */
  constructor({ url, key, fetch, signal, patience = 60_000, onRetry, onResponse }) {
    this.url = url.replace(/\/+$/, '');
    this.patience = patience;
    this.onRetry = onRetry;
    this.onResponse = onResponse;
    this.signal = signal;
    this.ownFetch = fetch;
    /** @type {Record<string, string>} */
    this.headers = key ? { Authorization: `Bearer ${key}` } : {};
  }

  /**
   * The answer's document; null where it has none.
   *
   * @param {string} method
   * @param {string} path below /api/v1
   * @param {Call} [call]
   */
  async send(method, path, call = {}) {
    const headers = { ...this.headers, ...call.headers };
    /** @type {Blob | string | undefined} */
    let body;
    let deadline = CALL_MS;
    if (call.form) {
      body = call.form.body;
      headers['Content-Type'] = call.form.type;
      deadline += CALL_MS + call.form.body.size / SLOWEST_UPLOAD;
    } else if (call.json !== undefined) {
      body = JSON.stringify(call.json);
      headers['Content-Type'] = 'application/json';
    }
    if (call.idempotencyKey) headers['Idempotency-Key'] = call.idempotencyKey;
    const request = { method, headers, body };
    const read = async (/** @type {Stop} */ stop) => {
      stop.set(deadline, 'it did not answer in time');
      const answer = await this.exchange(this.at(path, call.query), { ...request, signal: stop.signal }, call);
      return { answer, text: await answer.text() };
    };
    const safe = call.safe ?? (method === 'GET' || method === 'DELETE' || Boolean(call.idempotencyKey));
    return this.repeat({ ...call, safe }, async (stop) => {
      const { answer, text } = await reached(() => read(stop));
      if (!answer.ok && !call.accept?.includes(answer.status)) throw problemOf(answer.status, answer.headers, text);
      if (!text) return null;
      try {
        return JSON.parse(text);
      } catch (cause) {
        throw new ClientError(`The answer to ${method} ${path} is no JSON.`, { cause });
      }
    });
  }

  /**
   * An open answer with status 2xx; redirects are followed. `idle` milliseconds without a byte, while one is waited
   * for, break its body off.
   *
   * @param {string} path
   * @param {{headers?: Record<string, string>, query?: Record<string, string>, idle: number, signal?: AbortSignal}} call
   */
  async open(path, { headers, query, idle, signal }) {
    const stop = new Stop([this.signal, signal]);
    try {
      stop.set(CALL_MS, 'it did not answer in time');
      const request = { headers: { ...this.headers, ...headers }, signal: stop.signal };
      const answer = await reached(() => this.exchange(this.at(path, query), request, {}));
      if (!answer.ok) throw problemOf(answer.status, answer.headers, await reached(() => answer.text()));
      return watched(answer, stop, idle);
    } catch (error) {
      stop.release();
      throw stop.wanted ? stop.signal.reason : error;
    }
  }

  /**
   * @template T
   * @param {{safe?: boolean, signal?: AbortSignal, patience?: number, onRetry?: ClientOptions['onRetry']}} call
   * @param {(stop: Stop) => Promise<T>} act one try
   * @returns {Promise<T>}
   */
  async repeat({ safe = false, signal, patience: ms = this.patience, onRetry = this.onRetry }, act) {
    const life = new Stop([this.signal, signal]);
    const patience = new Patience(ms);
    try {
      for (;;) {
        const stop = new Stop([life.signal]);
        try {
          return await act(stop);
        } catch (error) {
          if (life.wanted) throw life.signal.reason;
          const wait = mayRepeat(error, safe) ? patience.next(retryAfter(error)) : null;
          if (wait === null) throw error;
          onRetry?.(/** @type {ClientError} */ (error), wait);
          await pause(wait, life.signal);
        } finally {
          stop.release();
        }
      }
    } finally {
      life.release();
    }
  }

  /** @param {string} path @param {Record<string, string>} [query] */
  at(path, query) {
    const search = query && Object.keys(query).length ? `?${new URLSearchParams(query)}` : '';
    return `${this.url}${BASE}${path}${search}`;
  }

  /**
   * @param {string} url
   * @param {RequestInit & {signal: AbortSignal, headers: Record<string, string>}} request
   * @param {{onProgress?: OnProgress}} call
   */
  async exchange(url, request, { onProgress }) {
    const { body } = request;
    let answer;
    if (!onProgress || !(body instanceof Blob)) answer = await this.fetch(url, request);
    else if (!this.ownFetch && typeof XMLHttpRequest === 'function') answer = await sendByXhr(url, request, onProgress);
    else {
      const headers = { ...request.headers, 'Content-Length': String(body.size) };
      const counted = { ...request, headers, body: counting(body, onProgress), duplex: 'half' };
      answer = await this.fetch(url, counted);
    }
    this.onResponse?.(answer);
    return answer;
  }

  /** @param {string} url @param {RequestInit} request */
  fetch(url, request) {
    return (this.ownFetch ?? globalThis.fetch)(url, request);
  }
}

/** @param {unknown} error @param {boolean} safe */
function mayRepeat(error, safe) {
  if (error instanceof Unreachable) return safe || /** @type {any} */ (error.cause)?.cause?.code === 'ECONNREFUSED';
  if (!(error instanceof ProblemError)) return false;
  if (error.code === 'idempotency_in_progress' || [429, 503].includes(error.status)) return true;
  return safe && [502, 504].includes(error.status);
}

/** Milliseconds. @param {unknown} error */
export const retryAfter = (error) =>
  error instanceof ProblemError && error.retryAfter !== null ? error.retryAfter * 1000 : null;

/**
 * What `fetch` and its bodies throw as an error of ours.
 *
 * @template T
 * @param {() => Promise<T>} act
 */
async function reached(act) {
  try {
    return await act();
  } catch (error) {
    throw error instanceof ClientError ? error : unreachable(error);
  }
}

/** @param {unknown} cause */
function unreachable(cause) {
  const { cause: inner, name, message } = /** @type {any} */ (cause ?? {});
  const reason = inner?.message || inner?.code || (name === 'TimeoutError' ? message : '');
  return new Unreachable(`The service cannot be reached${reason ? `: ${reason}` : ''}.`, { cause });
}

/** @param {Response} answer @param {Stop} stop @param {number} idle */
function watched(answer, stop, idle) {
  const { status, statusText, headers, body } = answer;
  if (!body || status === 204) {
    stop.release();
    return answer;
  }
  const reader = body.getReader();
  clearTimeout(stop.timer);
  const stream = new ReadableStream({
    async pull(out) {
      try {
        stop.set(idle, `nothing came for ${idle / 1000} s`);
        const { done, value } = await reader.read();
        clearTimeout(stop.timer);
        if (!done) return out.enqueue(value);
        stop.release();
        out.close();
      } catch (error) {
        stop.release();
        out.error(stop.wanted ? stop.signal.reason : unreachable(error));
      }
      return undefined;
    },
    cancel(reason) {
      stop.release();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  return new Response(stream, { status, statusText, headers });
}

/** @param {Blob} body @param {OnProgress} onProgress */
function counting(body, onProgress) {
  const total = body.size;
  let loaded = 0;
  /** @type {TransformStream<Uint8Array, Uint8Array>} */
  const counter = new TransformStream({
    transform(chunk, out) {
      loaded += chunk.byteLength;
      onProgress({ loaded, total });
      out.enqueue(chunk);
    },
  });
  return body.stream().pipeThrough(counter);
}
