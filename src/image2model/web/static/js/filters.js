// Which pictures are shown: by state, by model, by name, by metadata.

import * as documents from './documents.js';
import { byId, element, say } from './dom.js';
import * as jobs from './jobs.js';
import * as metadata from './metadata.js';
import { titleOf } from './models.js';
import { isFinished } from './states.js';
import { failed } from './toasts.js';

const GROUPS = {
  all: ['All', () => true],
  running: ['Running', (picture) => !isFinished(picture)],
  done: ['Done', (picture) => picture.status === 'succeeded'],
  failed: ['Failed', (picture) => picture.status === 'failed' || picture.status === 'rejected'],
};

const TYPING_MS = 300;
const wanted = { group: 'all', model: '', text: '', pairs: [] };
const buttons = new Map();

export const narrowed = () => wanted.group !== 'all' || wanted.text !== '' || wanted.model !== '' || wanted.pairs.length > 0;
// Whether pictures must be known to say which of them are shown.
export const needsPictures = () => wanted.group !== 'all' || wanted.text !== '' || wanted.pairs.length > 0;

export function matches(picture) {
  return GROUPS[wanted.group][1](picture)
    && (!wanted.model || picture.job.model === wanted.model)
    && (!wanted.text || picture.filename.toLowerCase().includes(wanted.text))
    && metadata.has(picture, wanted.pairs);
}

export function start(changed) {
  for (const [group, [label]] of Object.entries(GROUPS)) buttons.set(group, segment(group, label, changed));
  byId('filter-state').append(...[...buttons.values()].map((one) => one.button));
  byId('filter-text').addEventListener('input', (event) => {
    wanted.text = event.target.value.trim().toLowerCase();
    changed();
  });
  let typing = 0;
  byId('filter-metadata').addEventListener('input', (event) => {
    wanted.pairs = metadata.parsed(event.target.value);
    changed();
    clearTimeout(typing);
    typing = setTimeout(() => look(wanted.pairs, changed), TYPING_MS);
  });
  byId('filter-model').addEventListener('change', (event) => {
    wanted.model = event.target.value;
    changed();
  });
  choose('all');
}

// The service knows more jobs than the page. A key that it refuses is one that nothing has.
async function look(pairs, changed) {
  if (!pairs.length) return;
  await documents.find(Object.fromEntries(pairs)).catch((error) => error.code === 'invalid_parameter' || failed(error));
  changed();
}

function segment(group, label, changed) {
  const count = element('span', { class: 'count' });
  const click = () => {
    choose(group);
    changed();
  };
  return { button: element('button', { type: 'button', on: { click } }, `${label} `, count), count };
}

function choose(group) {
  wanted.group = group;
  for (const [name, { button }] of buttons) button.setAttribute('aria-pressed', String(name === group));
}

// Numbers beside the states, from the jobs' counts, and the models that are there.
export function draw() {
  const totals = { all: 0, running: 0, done: 0, failed: 0 };
  const models = new Set();
  for (const job of jobs.all()) {
    if (job.hidden) continue;
    models.add(job.model);
    count(totals, job);
  }
  for (const [name, { count: node }] of buttons) say(node, totals[name] ? String(totals[name]) : '');
  offer(models);
  return totals;
}

function count(totals, job) {
  const { succeeded = 0, failed = 0, cancelled = 0 } = job.counts || {};
  totals.all += job.total;
  totals.done += succeeded;
  totals.failed += failed;
  totals.running += job.total - succeeded - failed - cancelled;
}

function offer(models) {
  const select = byId('filter-model');
  const known = new Set([...select.options].map((option) => option.value));
  for (const model of models) if (!known.has(model)) select.append(element('option', { value: model }, titleOf(model)));
}
