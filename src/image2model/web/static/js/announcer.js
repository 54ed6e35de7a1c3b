// Tells a screen reader what happened, at most once in a while and summed up.

import { byId } from './dom.js';
import { plural } from './format.js';
import * as jobs from './jobs.js';
import { waits } from './prepared.js';

const EVERY_MS = 4000;
const seen = new WeakMap();
let done = 0;
let failed = 0;
let waiting = 0;
let timer = 0;

export function start() {
  jobs.onChange(({ pictures }) => pictures.forEach(note));
}

// What a person has just done, for those who do not see it.
export function announce(text) {
  byId('announcer').textContent = text;
}

function note(picture) {
  const before = seen.get(picture);
  const now = waits(picture) ? 'waits' : picture.status;
  seen.set(picture, now);
  const old = before === undefined && !picture.ours; // done when it is first seen, and not sent from here
  if (old || before === now) return;
  if (now === 'succeeded') done += 1;
  else if (now === 'failed') failed += 1;
  else if (now === 'waits') waiting += 1;
  else return;
  timer ||= setTimeout(tell, EVERY_MS);
}

function tell() {
  const parts = [done && `${plural(done, 'model')} done`, failed && `${plural(failed, 'picture')} failed`, waiting && `${plural(waiting, 'prepared picture waits', 'prepared pictures wait')} for you`].filter(Boolean);
  announce(`${parts.join(', ')}.`);
  done = failed = waiting = timer = 0;
}
