// What is done besides the model's own parameters: variants, and pictures that are prepared before they are sent.

import { byId, say, show } from './dom.js';
import { plural, usd } from './format.js';

const MOST_VARIANTS = 10;
const SWITCHES = { 'remove-background': 'remove_background', crop: 'crop', 'pad-square': 'pad_square', 'confirm-prepared': 'confirm_prepared' };
const on = (id) => byId(id).checked;

// `changed` is called after each change.
export function start(changed) {
  byId('options').addEventListener('input', () => {
    note();
    changed();
  });
  note();
}

export const variants = () => (valid() ? Number(byId('variants').value || 1) : 1);
export const removesBackground = () => on('remove-background');

// Whether all can be sent; says what cannot.
export function check() {
  const good = valid();
  byId('variants').setAttribute('aria-invalid', String(!good));
  say(byId('variants-error'), good ? '' : `This must be a whole number from 1 to ${MOST_VARIANTS}.`);
  show(byId('variants-error'), !good);
  return good;
}

function valid() {
  const { value, validity } = byId('variants');
  const count = Number(value || 1);
  return !validity.badInput && Number.isInteger(count) && count >= 1 && count <= MOST_VARIANTS;
}

// The fields of the form, only those that ask for something.
export function fields() {
  const wanted = Object.entries(SWITCHES).filter(([id]) => on(id) && !byId(id).disabled).map(([, name]) => [name, 'true']);
  return variants() > 1 ? [['variants', String(variants())], ...wanted] : wanted;
}

// What removing one background costs, where it is known.
export function priced(preparation) {
  say(byId('remove-background-price'), preparation ? `${usd(preparation)} for each picture, once.` : '');
}

// Nothing can be looked at that is not prepared.
function note() {
  const prepares = ['remove-background', 'crop', 'pad-square'].some(on);
  byId('confirm-prepared').disabled = !prepares;
  const said = [];
  if (variants() > 1) said.push(plural(variants(), 'variant'));
  if (prepares) said.push('prepared pictures');
  say(byId('options-note'), said.join(', ') || 'none');
}
