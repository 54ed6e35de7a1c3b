// Whether a model takes an object of these views, as the service decides it: one picture, one of each named side,
// or a list. It is known before anything is sent; the service has the last word.

import { plural } from './format.js';
import { SIDES, sideWords } from './sides.js';

export const MOST_VIEWS = 8;

const ofRole = (model, role) => model.inputs.filter((one) => one.role === role).sort((one, other) => other.required - one.required)[0];
const list = (sides) => sides.map(sideWords).join(', ');

// The model's input of each side; its one picture is the front.
function bySide(model) {
  const found = new Map(model.inputs.filter((one) => one.role === 'side' && one.side).map((one) => [one.side, one]));
  const picture = ofRole(model, 'picture');
  if (found.size && picture && !found.has('front')) found.set('front', picture);
  return found;
}

export const takesOne = (model) => fault(model, ['']) === '';
export const takesSeveral = (model) => bySide(model).size > 0 || Boolean(ofRole(model, 'views'));

// The sides of an object that is as small as the model allows.
export function smallest(model) {
  if (takesOne(model)) return [''];
  const needed = [...bySide(model)].filter(([, one]) => one.required).map(([side]) => side);
  return needed.length ? needed : Array.from({ length: Math.max(1, ofRole(model, 'views')?.min || 1) }, () => '');
}

// Why the model does not take an object of these sides ('' for none), in words; '' where it does.
export function fault(model, sides) {
  if (!model.inputs.length) return ''; // a service that does not tell
  if (sides.length > MOST_VIEWS) return `An object has at most ${MOST_VIEWS} views. Take ${plural(sides.length - MOST_VIEWS, 'view')} out.`;
  const { fields, wrong } = sides.length === 1 ? single(model, sides[0]) : several(model, sides);
  return wrong || lacking(model, fields) || miscounted(model, fields);
}

function single(model, side) {
  const sided = bySide(model);
  const field = sided.get(side) || ofRole(model, 'picture') || sided.get('front') || ofRole(model, 'views');
  return field ? { fields: [field] } : { wrong: `${model.title} takes no picture.` };
}

function several(model, sides) {
  const sided = bySide(model);
  const views = ofRole(model, 'views');
  if (sided.size && sides.every((side) => sided.has(side))) return { fields: sides.map((side) => sided.get(side)) };
  if (views) return { fields: sides.map(() => views) };
  if (!sided.size) return { wrong: `${model.title} makes a model of one picture. Ungroup these, or choose a model that takes several.` };
  const known = list(SIDES.filter((side) => sided.has(side)));
  if (sides.includes('')) return { wrong: `${model.title} takes a picture of each side. Say what each view shows: ${known}.` };
  return { wrong: `${model.title} takes no view of this side: ${list(sides.filter((side) => !sided.has(side)))}. Its sides are: ${known}.` };
}

function lacking(model, fields) {
  const missing = model.inputs.filter((one) => one.required && !fields.includes(one));
  if (!missing.length) return '';
  const sides = missing.filter((one) => one.side).map((one) => one.side);
  const front = missing.some((one) => one.role === 'picture') ? ['front'] : [];
  return `${model.title} needs a view of these sides too: ${list([...front, ...sides]) || missing[0].role}.`;
}

function miscounted(model, fields) {
  for (const field of new Set(fields)) {
    const count = fields.filter((one) => one === field).length;
    if (field.role !== 'views' && count > 1) return `${model.title} takes one picture of each side.`;
    const most = field.max ?? Infinity;
    if (field.role !== 'views' || (count >= field.min && count <= most)) continue;
    const limit = most === Infinity ? `${field.min} or more views` : `${field.min} to ${most} views`;
    return `${model.title} takes ${limit} of one object. This has ${count}.`;
  }
  return '';
}
