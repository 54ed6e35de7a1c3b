// How a tab reaches the one connection to `/events`: by a shared worker; where a browser has none, by the tab that
// holds a lock; where it has neither, by a connection of its own, as long as the tab can be seen.
//
// Each way calls `hear` with the hub's messages, and with `open` whenever there is a hub that does not know the tab yet.
// It returns {send, close}.

import { EventHub } from './event-hub.js';

const VERSION = new URL('.', import.meta.url).pathname; // tabs of another version have a connection of their own
const NAME = `image2model events ${VERSION}`;
const PING_MS = 350;
const UNANSWERED = 2;

// `tab` is what this tab is called. `recent` returns the last events that it took.
export function open(tab, hear, recent) {
  if (globalThis.SharedWorker) return throughWorker(tab, hear, recent);
  return withoutWorker(tab, hear, recent);
}

function withoutWorker(tab, hear, recent) {
  if (navigator.locks && globalThis.BroadcastChannel) return throughElected(tab, hear, recent);
  return alone(hear);
}

function throughWorker(tab, hear, recent) {
  let link = null;
  let unanswered = 0;
  let other = null;
  let closed = false;
  let timer = 0;

  function begin() {
    if (closed) return;
    unanswered = 0;
    link?.port.close();
    link = new SharedWorker(new URL('./later/event-worker.js', import.meta.url), { type: 'module', name: NAME });
    link.port.onmessage = ({ data }) => {
      unanswered = 0;
      if (data.type !== 'pong') hear(data);
    };
    // a browser that knows no modules in workers
    link.addEventListener('error', () => {
      if (other || closed) return;
      clearInterval(timer);
      other = withoutWorker(tab, hear, recent);
    }, { once: true });
    hear({ type: 'open' });
  }

  // Nothing says that a worker has ended, and the locks that would are missing where a page comes by plain HTTP.
  function ping() {
    if (!link) return null;
    if (unanswered >= UNANSWERED) return begin();
    unanswered += 1;
    return link.port.postMessage({ type: 'ping', from: tab });
  }

  const way = {
    send: (message) => (other ? other.send(message) : link?.port.postMessage(message)),
    close() {
      closed = true;
      clearInterval(timer);
      other?.close();
      link?.port.postMessage({ type: 'bye', from: tab });
      link?.port.close();
    },
  };
  timer = setInterval(ping, PING_MS);
  queueMicrotask(begin);
  return way;
}

function throughElected(tab, hear, recent) {
  const channel = new BroadcastChannel(NAME);
  const leaving = new AbortController();
  let hub = null;
  let resign = null;

  channel.onmessage = ({ data: { forHub, ...message } }) => {
    if (!forHub) hear(message);
    else hub?.hear(message);
  };
  function lead() {
    if (leaving.signal.aborted) return null;
    hub = new EventHub((message) => {
      channel.postMessage(message);
      hear(message);
    }, recent());
    hear({ type: 'open' }); // first, so that the hub begins with what this tab saw last
    channel.postMessage({ type: 'open' });
    return new Promise((done) => {
      resign = done;
    });
  }
  navigator.locks.request(NAME, { signal: leaving.signal }, lead).catch((error) => {
    if (error.name !== 'AbortError') throw error;
  });
  queueMicrotask(() => hub || hear({ type: 'open' })); // another tab may lead already
  return {
    send: (message) => (hub ? hub.hear(message) : channel.postMessage({ ...message, forHub: true })),
    close() {
      leaving.abort();
      hub?.stop();
      resign?.();
      channel.close();
    },
  };
}

function alone(hear) {
  const hub = new EventHub(hear);
  const change = () => {
    if (document.hidden) hub.stop();
    else hear({ type: 'open' });
  };
  document.addEventListener('visibilitychange', change);
  queueMicrotask(change);
  return {
    send: (message) => hub.hear(message),
    close() {
      document.removeEventListener('visibilitychange', change);
      hub.stop();
    },
  };
}
