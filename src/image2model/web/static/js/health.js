// Whether all is well, in the bar and, where it is not, in plain words above the page.

import { client } from './api.js';
import { byId, element, icon, say, show } from './dom.js';
import { onConnection } from './events.js';

const EVERY_MS = 15_000;
const AGAIN_MS = 5000;
const AFTER_LOSS_MS = 1500;
const WORDS = { ready: 'Ready', degraded: 'Not all is well', unready: 'Cannot work now', offline: 'Connecting again…' };
const READABLE = 'Uploads go on once it takes writes again; everything that is there can be seen and downloaded.';
const writesListeners = new Set();
const foundListeners = new Set();
let writes = true;
let connected = true;
let found = null;
let lossTimer = 0;

// `listener(on)` is called whenever the service begins or ceases to take pictures in.
export const onWrites = (listener) => writesListeners.add(listener);

// How many pictures FAL generates at once, null while nobody knows; `listener()` is called after each look.
export const atOnce = () => found?.fal_concurrency ?? null;
export const onFound = (listener) => foundListeners.add(listener);

export function start() {
  onConnection((now) => {
    clearTimeout(lossTimer);
    if (now) settle(true);
    else lossTimer = setTimeout(() => settle(false), AFTER_LOSS_MS); // a blink is not worth a word
  });
  ask();
  setInterval(() => document.hidden || ask(), EVERY_MS);
  document.addEventListener('visibilitychange', () => document.hidden || ask());
}

// A request was refused for the store's sake: do not wait for the next round.
export const refused = () => ask();

function settle(now) {
  if (connected !== now && now) ask();
  connected = now;
  draw();
}

async function ask() {
  try {
    found = await client.request('GET', '/health/ready', { accept: [503] });
    tell(found.checks.redis.ok);
    for (const listener of foundListeners) listener();
  } catch {
    found = null; // the line below says that the connection is away
  }
  draw();
}

function tell(on) {
  if (on === writes) return;
  writes = on;
  for (const listener of writesListeners) listener(on);
  if (!on) setTimeout(again, AGAIN_MS);
}

function again() {
  if (writes) return;
  if (!document.hidden) ask();
  setTimeout(again, AGAIN_MS);
}

function draw() {
  const state = !connected || !found ? 'offline' : found.status;
  const bar = byId('health');
  if (!found && connected) return;
  bar.dataset.state = state;
  show(bar, true);
  say(bar.lastElementChild, WORDS[state] || state);
  notice(state);
}

function notice(state) {
  const box = byId('notice');
  const text = state === 'offline'
    ? 'The connection to the service is lost. What runs goes on; this page catches up by itself.'
    : Object.entries(found.checks).filter(([, check]) => !check.ok).map(([name, check]) => sentence(name, check)).join(' ');
  box.dataset.kind = state === 'unready' ? 'bad' : 'warn';
  if (text !== box.dataset.text) box.replaceChildren(icon('warning'), element('span', {}, text));
  box.dataset.text = text;
  show(box, Boolean(text));
}

const SUBJECT = { disk_space: 'Disk', fal_api: 'FAL', workers: 'Workers' };

function sentence(name, check) {
  const said = SUBJECT[name] && !check.detail.startsWith(SUBJECT[name]) ? `${SUBJECT[name]}: ${check.detail}` : check.detail;
  const words = said[0].toUpperCase() + said.slice(1);
  const whole = /[.!?]$/.test(words) ? words : `${words}.`;
  return name === 'redis' && found.status === 'degraded' ? `${whole} ${READABLE}` : whole;
}
