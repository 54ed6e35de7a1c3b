// The one connection for everything that happens: `/events`.
//
// The browser connects again by itself and says what it saw last. Where that is too long ago the server
// says so, and where the connection was away for long (a closed laptop) the list is asked for again too.

import { BASE, get } from './api.js';
import * as jobs from './jobs.js';
import * as documents from './documents.js';

const QUIET_MS = 45_000; // the server sends a comment every 15 s, but a browser does not tell of those
const AGAIN_MS = 2000;

let source = null;
let lastId = '';
let lostAt = 0;
let timer = 0;
const watchers = new Set();

export const onConnection = (watcher) => watchers.add(watcher);

export function connect() {
  disconnect();
  const query = lastId ? `?last_event_id=${encodeURIComponent(lastId)}` : '';
  source = new EventSource(`${BASE}/events${query}`);
  source.addEventListener('open', opened);
  source.addEventListener('error', lost);
  source.addEventListener('snapshot', on(snapshot));
  source.addEventListener('image', on(image));
  source.addEventListener('complete', on((document) => jobs.put(document)));
}

export function disconnect() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function on(take) {
  return (event) => {
    lastId = event.lastEventId || lastId;
    take(JSON.parse(event.data));
  };
}

function opened() {
  if (lostAt && Date.now() - lostAt > QUIET_MS) documents.refresh();
  lostAt = 0;
  tell(true);
}

function lost() {
  lostAt ||= Date.now();
  tell(false);
  if (source?.readyState === EventSource.CLOSED) timer = setTimeout(ask, AGAIN_MS); // it was refused
}

// A refused connection says nothing of why; a plain request does, and a 401 leads to the sign-in.
async function ask() {
  try {
    await get('/session');
    connect();
  } catch (error) {
    if (error.status !== 401) timer = setTimeout(ask, AGAIN_MS);
  }
}

const tell = (connected) => watchers.forEach((watcher) => watcher(connected));

function snapshot(document) {
  for (const head of document.jobs) jobs.put(head);
  if (document.reset) documents.refresh();
  else for (const head of document.jobs) documents.want(jobs.find(head.job_id));
}

function image(event) {
  if (!jobs.heard(event)) documents.fetchJob(event.job_id);
}

let hiddenAt = 0;
document.addEventListener('visibilitychange', () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (source && hiddenAt && Date.now() - hiddenAt > QUIET_MS) {
    connect(); // the line may be dead without anybody having told the browser
    documents.refresh();
  }
});
window.addEventListener('online', () => source && connect());
