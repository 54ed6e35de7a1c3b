// The one connection for everything that happens: `/events`.
//
// The client connects again by itself and says what it saw last. Where that is too long ago the server
// says so, and where the connection was away for long (a closed laptop) the list is asked for again too.

import { ProblemError, client } from './api.js';
import * as jobs from './jobs.js';
import * as documents from './documents.js';
import { isFinished } from './states.js';

const QUIET_MS = 45_000; // the server sends a comment every 15 s
const AGAIN_MS = 2000;

let stop = null;
let lastId = '';
let lostAt = 0;
let timer = 0;
const watchers = new Set();

export const onConnection = (watcher) => watchers.add(watcher);

export function connect() {
  disconnect();
  stop = new AbortController();
  follow(stop.signal);
}

export function disconnect() {
  clearTimeout(timer);
  stop?.abort();
  stop = null;
}

const take = { snapshot, image, complete };

async function follow(signal) {
  try {
    for await (const event of client.events({ lastEventId: lastId, patience: Infinity, signal, onConnection: noted })) {
      lastId = event.id || lastId;
      take[event.type](event);
    }
  } catch (error) {
    if (signal.aborted || error.status === 401) return; // the sign-in comes back here
    if (!(error instanceof ProblemError)) reportError(error);
    noted(false);
    timer = setTimeout(connect, AGAIN_MS);
  }
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
document.addEventListener('visibilitychange', () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (stop && hiddenAt && Date.now() - hiddenAt > QUIET_MS) {
    connect(); // the line may be dead without anybody having told the browser
    documents.refresh();
  }
});
window.addEventListener('online', () => stop && connect());
