// The other models that the same pictures are sent to, to compare what they make.

import { byId, element, icon, show } from './dom.js';
import { usd } from './format.js';
import { modelOf, models, titleOf } from './models.js';

const MOST_MODELS = 8;
let others = [];
let first = '';
let changed = () => {};

export function start(told) {
  changed = told;
  byId('compare').addEventListener('change', () => add(byId('compare').value));
}

export const chosen = () => others;

// The list may have changed, and the main model too; `id` is that one.
export function draw(id) {
  first = id;
  others = others.filter((one) => one !== first && modelOf(one) && !modelOf(one).needs);
  const free = models().filter((one) => !one.needs && one.id !== first && !others.includes(one.id));
  byId('compare').replaceChildren(element('option', { value: '' }, 'Compare with another model…'),
    ...free.map((one) => element('option', { value: one.id }, one.price === null || one.price === undefined ? one.title : `${one.title} · ${usd(one.price)}`)));
  show(byId('compare'), free.length > 0 && others.length + 1 < MOST_MODELS);
  byId('compared').replaceChildren(...others.map(chip));
  show(byId('compared'), others.length > 0);
}

function add(id) {
  if (!id) return;
  others.push(id);
  draw(first);
  changed();
  byId('compare').focus();
}

function chip(id) {
  const title = titleOf(id);
  return element('li', {}, element('span', {}, title),
    element('button', { type: 'button', 'aria-label': `Compare without ${title}`, on: { click: () => remove(id) } }, icon('close')));
}

function remove(id) {
  others = others.filter((one) => one !== id);
  draw(first);
  changed();
  byId('compare').focus();
}
