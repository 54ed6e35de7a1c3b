// The side panel: pictures that were taken in, the model, its parameters, the price, and the button.

import * as comparison from './comparison.js';
import { byId, element, say, show } from './dom.js';
import { expected } from './expected.js';
import { takesOne } from './fits.js';
import { bytes, names, number, plural, seconds, usd } from './format.js';
import { atOnce, onFound, onWrites } from './health.js';
import * as intake from './intake.js';
import * as list from './model-list.js';
import * as catalogue from './models.js';
import { modelOf, standardModel } from './models.js';
import * as options from './options.js';
import { ParameterForm } from './parameters.js';
import { priceOf, together } from './price.js';
import * as staged from './staged.js';
import { toast } from './toasts.js';
import * as uploads from './uploads.js';

const LARGEST = Number(byId('files').dataset.maxBytes);
const ASK_AFTER_MS = 350;
let form = null;
let each = null;
let asking = 0;
let timer = 0;
let taken = true; // whether the service takes pictures in

export function start() {
  intake.start(take);
  staged.start(price);
  onWrites((on) => {
    taken = on;
    price();
  });
  list.start(choose);
  comparison.start(changed);
  options.start(() => form && changed());
  byId('max-cost').addEventListener('input', price);
  window.addEventListener('focus', look);
  byId('model').addEventListener('focus', look);
  onFound(() => form && price());
  byId('clear').addEventListener('click', staged.clear);
  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
}

export function offer() {
  const wanted = modelOf(recalled());
  const id = wanted && !wanted.needs ? wanted.id : standardModel();
  if (!id) return nothing();
  list.draw(id);
  choose(id);
}

function nothing() {
  form = null;
  byId('model').replaceChildren(element('option', {}, 'No model is on offer'));
  say(byId('model-help'), 'Ask the operator of this service which models your key may use.');
  price();
}

// FAL's list may have changed. What was chosen and filled in stays, as far as it is still there.
async function look() {
  if (!form) return;
  try {
    if (!(await catalogue.refresh())) return;
  } catch {
    return; // the next look tries again
  }
  const before = form.model;
  const now = modelOf(before.id);
  if (!now || now.needs) {
    toast(`${before.title} is no longer on offer.`);
    return offer();
  }
  list.draw(now.id);
  comparison.draw(now.id);
  if (now.schema === before.schema) form.model = now;
  else form = new ParameterForm(byId('params'), now, form.values(), changed);
  list.describe(now);
  changed();
}

const recalled = () => localStorage.getItem('model') || '';

function choose(id) {
  const model = modelOf(id);
  byId('model').value = id;
  localStorage.setItem('model', id);
  comparison.draw(id);
  list.describe(model);
  form = new ParameterForm(byId('params'), model, {}, changed);
  changed();
}

function changed() {
  const count = Object.keys(form.values()).length;
  say(byId('params-note'), count ? plural(count, 'change') : 'defaults');
  clearTimeout(timer);
  timer = setTimeout(ask, count ? ASK_AFTER_MS : 0);
}

async function ask() {
  const round = (asking += 1);
  each = null;
  if (form.check()) {
    try {
      const wanted = { removesBackground: options.removesBackground(), variants: options.variants() };
      const found = await Promise.all(chosen().map((model) => priceOf(model, model === form.model ? form.values() : {}, wanted)));
      if (round === asking) each = together(found);
    } catch (error) {
      if (round === asking) each = { usd: null, warnings: [], note: `The price is not known: ${error.message}` };
    }
  }
  if (round === asking) price();
}

// The model with the parameters, and those that are compared with it.
const chosen = () => [form.model, ...comparison.chosen().map(modelOf)].filter(Boolean);

// How long so many take, where it is known how long one takes and how many FAL generates at once.
function time(count) {
  const one = expected(form.model.id);
  const limit = atOnce();
  if (one === null || limit === null) return [];
  const runs = Math.ceil(count / limit);
  return [element('small', {}, `About ${seconds(runs * one)}: FAL generates ${number(limit)} at once. Pictures that wait come on top.`)];
}

function price() {
  const line = byId('price');
  const count = staged.count();
  const unknown = Boolean(form && each && (each.usd === null || each.usd === undefined));
  const fits = staged.judge(form ? chosen() : []);
  show(byId('max-cost-field'), unknown);
  byId('send').disabled = !count || !form || !taken || !fits || (unknown && each.limit && !limit());
  const made = form ? count * options.variants() * chosen().length : count;
  const action = count ? `Generate ${plural(made, 'model')}` : 'Generate models';
  say(byId('send'), taken ? action : 'Uploads are off for now');
  show(byId('clear'), count > 0);
  options.priced(each?.preparation);
  if (!each) return line.replaceChildren('Asking for the price…');
  if (unknown) return line.replaceChildren(each.note);
  return line.replaceChildren(...sum(count, made));
}

// The price in words and in all.
function sum(count, made) {
  const what = staged.anyGrouped() || !takesOne(form.model) ? 'object' : 'picture';
  if (!count) return [`${usd(each.usd)} ${what === 'object' ? 'an object' : 'a picture'}`];
  const batches = uploads.split(staged.ready()).length;
  const split = batches > 1 ? ` in ${batches} batches` : '';
  const times = [options.variants() > 1 ? `${plural(options.variants(), 'variant')} × ` : '', usd(each.usd)].join('');
  const removed = each.preparation ? ` + ${plural(staged.viewCount(), 'background')} × ${usd(each.preparation)}` : '';
  const cost = each.usd * count * options.variants() + (each.preparation || 0) * staged.viewCount();
  return [
    element('span', {}, `${plural(count, what)}${split} × ${times}${removed}`),
    element('strong', {}, usd(cost)),
    ...time(made),
    ...each.warnings.map((text) => element('small', { class: 'price-warning' }, text)),
    element('small', {}, `${what === 'object' ? 'Objects' : 'Pictures'} that were done before with these parameters cost nothing.`),
  ];
}

// Dollars for all pictures together; null where none are given.
function limit() {
  const given = Number(byId('max-cost').value);
  return byId('max-cost-field').hidden || !(given > 0) ? null : given;
}

function take(files, others, target) {
  const tooLarge = files.filter((file) => file.size > LARGEST);
  const empty = files.filter((file) => !file.size);
  staged.add(files.filter((file) => file.size && file.size <= LARGEST), target);
  if (others.length) toast(`${plural(others.length, 'file')} left out: they are no pictures. ${names(others)}`);
  if (tooLarge.length) toast(`${names(tooLarge)}: over ${bytes(LARGEST)}, left out.`);
  if (empty.length) toast(`${names(empty)}: empty, left out.`);
}

function send() {
  if (!staged.count() || !form || !taken || !staged.judge(chosen())) return;
  if (!options.check()) {
    byId('options-box').open = true;
    byId('variants').focus();
    return;
  }
  if (!form.check()) {
    byId('params-box').open = true;
    byId('params').querySelector('[aria-invalid="true"]')?.focus();
    return;
  }
  uploads.send(staged.ready(), { models: chosen().map((one) => one.id), params: form.values(), fields: options.fields(), maxCost: limit() });
  staged.clear();
  byId('gallery').focus({ preventScroll: true });
  if (matchMedia('(max-width: 900px)').matches) byId('gallery').scrollIntoView({ behavior: 'smooth' });
}
