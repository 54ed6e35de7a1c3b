// Follows a stream of events through lost connections: each event once, in order.

import { ClientError, ProblemError, Unreachable } from './errors.js';
import { EventParser, eventsOf } from './event-stream.js';
import { Patience, Stop, pause } from './patience.js';
import { retryAfter } from './transport.js';

/** @import { FollowOptions } from './documents.js' */
/** @import { ServerSentEvent } from './event-stream.js' */
/** @import { Transport } from './transport.js' */

const IDLE_MS = 45_000; // the service sends a comment every 15 s
const RETRY_MS = 2000;
const MOST_SEEN = 1024;
const TEMPORARY = new Set([429, 500, 502, 503, 504]);

/**
 * @template {{type: string, id: string}} E
 * @param {Transport} transport
 * @param {string} path
 * @param {(event: ServerSentEvent) => E | null} read null for a kind that this client does not know
 * @param {boolean} ends whether `complete` is the last event
 * @param {FollowOptions} options
 * @returns {AsyncGenerator<E, void, undefined>}
 */
export async function* follow(transport, path, read, ends, options) {
  const { lastEventId = '', onConnection, patience: ms = transport.patience, signal } = options;
  const life = new Stop([transport.signal, signal]);
  const patience = new Patience(ms);
  const seen = new Seen();
  let id = lastEventId;
  let retry = RETRY_MS;
  let connected = true;
  const tell = (/** @type {boolean} */ now) => {
    if (now !== connected) onConnection?.(now);
    connected = now;
  };
  try {
    for (;;) {
      const parser = new EventParser();
      /** @type {unknown} */
      let lost = new Unreachable('The event stream ended early.');
      try {
        /** @type {Record<string, string>} */
        const headers = { Accept: 'text/event-stream', ...(id && { 'Last-Event-ID': id }) };
        const answer = await transport.open(path, { headers, idle: IDLE_MS, signal: life.signal });
        tell(true);
        if (answer.status === 204) return; // all of it was seen before
        seen.connected();
        const body = answer.body ?? new Blob().stream();
        for await (const raw of eventsOf(body, parser, () => patience.renew())) {
          const event = read(raw);
          if (raw.id) id = raw.id;
          if (!event || seen.has(raw)) continue;
          yield event;
          if (ends && event.type === 'complete') return;
        }
      } catch (error) {
        if (life.wanted) throw life.signal.reason;
        if (!(error instanceof Unreachable) && !isTemporary(error)) throw error;
        lost = error;
      }
      tell(false);
      retry = parser.retry ?? retry;
      const wait = patience.next(retryAfter(lost) ?? retry);
      if (wait === null) throw lost;
      await pause(wait, life.signal);
    }
  } finally {
    life.release();
  }
}

/** @param {unknown} error */
const isTemporary = (error) => error instanceof ProblemError && TEMPORARY.has(error.status);

/** What earlier connections have delivered, should anything between repeat it. */
class Seen {
  constructor() {
    /** @type {Set<string>} */
    this.before = new Set();
    /** @type {string[]} */
    this.all = [];
  }

  connected() {
    this.before = new Set(this.all);
  }

  /** @param {ServerSentEvent} raw */
  has({ event, id }) {
    if (!id) return false;
    const name = `${event} ${id}`;
    this.all.push(name);
    if (this.all.length > MOST_SEEN) this.all.shift();
    return this.before.has(name);
  }
}

/** @param {ServerSentEvent} raw */
function parsed({ data }) {
  try {
    return JSON.parse(data);
  } catch (cause) {
    throw new ClientError('The service sent an event that cannot be read.', { cause });
  }
}

/** @param {ServerSentEvent} raw @returns {import('./documents.js').JobEvent | null} */
export function jobEvent(raw) {
  const { event: type, id } = raw;
  if (type === 'image') return { type, id, ...parsed(raw) };
  if (type === 'complete') return { type, id, job: parsed(raw) };
  if (type !== 'snapshot') return null;
  const { reset = false, ...job } = parsed(raw);
  return { type, id, reset, job };
}

/** @param {ServerSentEvent} raw @returns {import('./documents.js').Event | null} */
export function ownerEvent(raw) {
  const { event: type, id } = raw;
  if (type === 'image') return { type, id, ...parsed(raw) };
  if (type === 'complete') return { type, id, job: parsed(raw) };
  if (type !== 'snapshot') return null;
  const { reset = false, jobs } = parsed(raw);
  return { type, id, reset, jobs };
}
