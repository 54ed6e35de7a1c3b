// Everything that happens, as the one connection of all tabs tells it: see event-links.js.
//
// What this tab saw last decides what it gets when it comes to a connection that others use already, or after the one
// that held it has ended. Where that is too long ago, or the connection was away for long (a closed laptop), the list
// is asked for again.

import { unauthenticated } from './api.js';
import * as jobs from './jobs.js';
import * as documents from './documents.js';
import { open } from './event-links.js';
import { isFinished } from './states.js';

const QUIET_MS = 45_000; // the server sends a comment every 15 s
const KEPT = 512;

const tab = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('');
let link = null;
let welcomed = false;
let lastId = '';
let lostAt = 0;
let recent = [];
const watchers = new Set();

export const onConnection = (watcher) => watchers.add(watcher);

export function connect() {
  disconnect();
  link = open(tab, hear, () => recent);
}

export function disconnect() {
  link?.close();
  link = null;
  welcomed = false;
}

// Whoever signs in next starts from nothing.
export function forget() {
  disconnect();
  lastId = '';
  recent = [];
}

const answers = {
  open() {
    welcomed = false;
    link?.send({ type: 'hello', from: tab, lastId });
  },
  welcome({ to, connected, lastId: latest, events }) {
    if (to !== tab) return;
    welcomed = true;
    if (events) events.forEach(taken);
    else snapshot({ jobs: [], reset: true });
    lastId = latest;
    noted(connected);
  },
  event({ event }) {
    if (welcomed) taken(event);
  },
  connection({ connected }) {
    if (welcomed) noted(connected);
  },
  unauthenticated() {
    disconnect(); // the sign-in comes back here
    unauthenticated();
  },
};

function hear(message) {
  answers[message.type](message);
}

const take = { snapshot, image, complete };

// The same event again, after a change of the connection, is none.
function taken(event) {
  lastId = event.id || lastId;
  const known = recent.some((one) => one.id === event.id && one.type === event.type && one.job_id === event.job_id);
  if (known && event.type !== 'snapshot') return;
  recent.push(event);
  if (recent.length > KEPT) recent.shift();
  take[event.type](event);
}

function noted(connected) {
  if (connected && lostAt && Date.now() - lostAt > QUIET_MS) documents.refresh();
  lostAt = connected ? 0 : lostAt || Date.now();
  tell(connected);
}

const tell = (connected) => watchers.forEach((watcher) => watcher(connected));

function snapshot({ jobs: heads, reset }) {
  for (const head of heads) jobs.put(head);
  if (reset) documents.refresh();
  // What ended while the connection was being made is in no snapshot and in no event.
  for (const job of jobs.all()) if (job.job_id && !job.finished_at) documents.fetchJob(job.job_id);
}

function complete({ job: head }) {
  const job = jobs.put(head);
  if (job?.images?.some((picture) => !isFinished(picture))) documents.fetchJob(job.job_id);
}

function image({ type: _, id: __, ...event }) {
  if (!jobs.heard(event)) documents.fetchJob(event.job_id);
}

let hiddenAt = 0;
let paused = false; // the page is gone, and may come back by the browser's button
document.addEventListener('visibilitychange', () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (link && hiddenAt && Date.now() - hiddenAt > QUIET_MS) {
    wake(); // the connection may be dead without anybody having told the browser
    documents.refresh();
  }
});
window.addEventListener('online', wake);
window.addEventListener('pagehide', () => {
  paused = link !== null;
  disconnect();
});
window.addEventListener('pageshow', () => paused && connect());

function wake() {
  link?.send({ type: 'wake', from: tab });
}
