// The one connection to `/events` of all tabs of a browser: over HTTP/1.1 a browser has six connections to a host.
//
// It runs in a shared worker, or in the tab that was elected: see event-links.js. The client connects again by itself
// and says what it saw last. A tab says what it saw last too: it gets what came since, or hears that it must ask anew.

import { ProblemError, client } from './api.js';

const AGAIN_MS = 2000;
const KEPT = 512; // events that a tab may lag behind before it has to ask for everything

export class EventHub {
  // `tell` gets each message for the tabs. `recent`: the last events that were taken before this hub began.
  constructor(tell, recent = []) {
    this.tell = tell;
    this.events = [...recent];
    this.lastId = '';
    this.connected = true; // the client tells changes, and the first attempt is none
    this.begunAt = 0;
    this.running = null;
    this.timer = 0;
  }

  // One message of a tab: `hello` with what it saw last, or `wake` where the connection may be dead.
  hear({ type, from, lastId }) {
    if (type === 'hello') this.welcome(from, lastId);
    else if (type === 'wake' && this.running && Date.now() - this.begunAt > AGAIN_MS) this.begin();
  }

  welcome(to, lastId) {
    if (!this.running) {
      this.lastId = lastId;
      this.begin();
    }
    this.tell({ type: 'welcome', to, connected: this.connected, lastId: this.lastId, events: this.since(lastId) });
  }

  // The events after this one; null where they are not known any more.
  since(lastId) {
    if (lastId === this.lastId) return [];
    const place = this.events.findLastIndex((event) => event.id === lastId);
    return lastId && place >= 0 ? this.events.slice(place + 1) : null;
  }

  begin() {
    this.end();
    this.begunAt = Date.now();
    this.running = new AbortController();
    this.follow(this.running.signal);
  }

  end() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = null;
  }

  // For good: whoever comes next begins with what it saw itself.
  stop() {
    this.end();
    this.events = [];
    this.lastId = '';
    this.connected = true;
  }

  async follow(signal) {
    const onConnection = (connected) => signal.aborted || this.noted(connected);
    try {
      for await (const event of client.events({ lastEventId: this.lastId, patience: Infinity, signal, onConnection })) {
        if (signal.aborted) return;
        this.take(event);
      }
    } catch (error) {
      if (!signal.aborted) this.failed(error);
    }
  }

  failed(error) {
    this.noted(false);
    if (error.status === 401) {
      this.stop();
      this.tell({ type: 'unauthenticated' });
      return;
    }
    if (!(error instanceof ProblemError)) reportError(error);
    this.timer = setTimeout(() => this.begin(), AGAIN_MS);
  }

  take(event) {
    this.lastId = event.id || this.lastId;
    this.events.push(event);
    if (this.events.length > KEPT) this.events.shift();
    this.tell({ type: 'event', event });
  }

  noted(connected) {
    this.connected = connected;
    this.tell({ type: 'connection', connected });
  }
}
