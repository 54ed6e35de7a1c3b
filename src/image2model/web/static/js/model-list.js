// The field in which a model is chosen: by maker, narrowed by a search, with what pictures cannot run shown and not
// to be chosen.

import { byId, element, say, show } from './dom.js';
import { smallest, takesSeveral } from './fits.js';
import { usd } from './format.js';
import { models } from './models.js';

const MANY = 12; // from so many on there is a search

export function start(changed) {
  byId('model').addEventListener('change', () => changed(byId('model').value));
  byId('model-filter').addEventListener('input', () => draw(byId('model').value));
}

// `chosen` stays in the list, whatever is searched for.
export function draw(chosen) {
  const words = byId('model-filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = models().filter((one) => one.id === chosen || words.every((word) => `${one.id} ${one.title} ${one.maker}`.toLowerCase().includes(word)));
  const groups = new Map();
  for (const one of found) groups.set(one.maker, [...(groups.get(one.maker) || []), one]);
  const select = byId('model');
  select.replaceChildren(...[...groups].map(([maker, some]) => group(maker, some)));
  select.disabled = false;
  select.value = chosen;
  show(byId('model-filter'), models().length > MANY);
}

function group(maker, some) {
  const made = element('optgroup', { label: maker });
  made.append(...some.map((one) => element('option', { value: one.id, disabled: Boolean(one.needs), title: one.id }, label(one))));
  return made;
}

function label(one) {
  if (one.needs) return `${one.title} (${one.needs})`;
  const price = one.price === null || one.price === undefined ? '' : usd(one.price);
  return [one.title, price, views(one)].filter(Boolean).join(' · ');
}

// How many pictures of one object it takes, where that may be several.
const views = (one) => (takesSeveral(one) ? `${smallest(one).length}+ views` : '');

export function describe(model) {
  const license = model.license ? `License: ${model.license}.` : '';
  const price = model.down ? `FAL says of this model: ${model.down}.` : model.note;
  say(byId('model-help'), [price, license].filter(Boolean).join(' '));
}
