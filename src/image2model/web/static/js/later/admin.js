// What an administrator sees instead of the models: queues, workers, spending, failures, keys.

import { get } from '../api.js';
import { button, byId, element, show } from '../dom.js';
import { deadPart } from './admin-dead.js';
import { keysPart } from './admin-keys.js';
import {
  accountPart, endpointsPart, figures, privacyPart, queuesPart, spendingPart, workersPart,
} from './admin-fleet.js';
import { failed } from '../toasts.js';

const EVERY_MS = 5000;
let timer = 0;
let parts = null;

export function toggle() {
  const open = byId('admin').hidden;
  show(byId('admin'), open);
  show(byId('workspace'), !open);
  byId('admin-open').setAttribute('aria-pressed', String(open));
  clearInterval(timer);
  if (!open) return;
  parts ??= build();
  refresh();
  timer = setInterval(() => document.hidden || refresh(), EVERY_MS);
  byId('admin').focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function build() {
  const made = {
    figures: element('div', { class: 'figures' }),
    queues: panel('Queues'), workers: panel('Workers'), dead: panel('Failures'), privacy: panel('Privacy at FAL'), spending: panel('Spending, 30 days'), keys: panel('Keys'),
  };
  const back = button('Back to the models', { symbol: 'left', on: { click: toggle } });
  byId('admin').replaceChildren(
    element('div', { class: 'toolbar' }, element('h1', {}, 'Administration'), element('div', { class: 'filters' }, back)),
    made.figures, ...['queues', 'workers', 'dead', 'privacy', 'spending', 'keys'].map((name) => made[name].element));
  return made;
}

function panel(title) {
  const body = element('div', { class: 'panel-body' });
  return { body, element: element('section', { class: 'panel', 'aria-label': title }, element('h2', {}, title), body) };
}

// Each part stands for itself: one that cannot be read says so, and the others are shown.
async function refresh() {
  await Promise.all([
    part('/admin/stats', parts.queues, (stats) => {
      parts.figures.replaceChildren(...figures(stats));
      parts.spending.body.replaceChildren(spendingPart(stats));
      parts.privacy.body.replaceChildren(privacyPart(stats));
      const refused = endpointsPart(stats);
      return element('div', {}, accountPart(stats), queuesPart(stats, refresh), refused);
    }),
    part('/admin/workers', parts.workers, workersPart),
    part('/admin/dead?limit=100', parts.dead, (page) => deadPart(page, refresh)),
    part('/admin/keys', parts.keys, (list) => keysPart(list, refresh)),
  ]).catch(failed);
}

async function part(path, { body, element: holder }, draw) {
  try {
    const answer = await get(path);
    const seen = JSON.stringify(answer);
    if (holder.dataset.seen === seen || holder.querySelector('form, :focus')) return;
    body.replaceChildren(draw(answer));
    holder.dataset.seen = seen;
  } catch (error) {
    body.replaceChildren(element('p', { class: 'field-error' }, error.message));
    delete holder.dataset.seen;
  }
}
