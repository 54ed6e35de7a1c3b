// What becomes one model: a picture, or an object of several views. Groups them, names them, tells which belong
// together by their names and folders.
//
// `{name, grouped, views: [{file, side, thumbnail, …}]}`; a picture that is not grouped goes by its file's name.

import { MOST_VIEWS } from './fits.js';
import { folderOf } from './intake.js';
import { SIDES, inOrder, read, stemOf } from './sides.js';

const LONGEST_NAME = 80;

export const sidesOf = (object) => (object.grouped ? object.views.map((view) => view.side) : ['']);

// What the service takes as an object's name, of what somebody wrote.
export function clean(text) {
  const plain = text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|[[\]"\\]/gu, ' ').replace(/\s+/g, ' ').trim();
  return [...plain].slice(0, LONGEST_NAME).join('').trim();
}

// The name, with a number where another object has it: two of one name would become one.
export function free(name, taken) {
  const wanted = clean(name) || 'object';
  for (let number = 1; ; number += 1) {
    const suffix = number === 1 ? '' : ` ${number}`;
    const tried = `${[...wanted].slice(0, LONGEST_NAME - suffix.length).join('')}${suffix}`;
    if (!taken.has(tried)) return tried;
  }
}

// One object of all these; the first one that is an object already gives the name.
export function joined(objects, taken) {
  const views = objects.flatMap((one) => one.views);
  const first = objects.find((one) => one.grouped);
  for (const one of objects) if (!one.grouped) guess(one.views[0], views);
  return { grouped: true, name: first ? first.name : free(nameOf(views), taken), views };
}

// The side that the file's name tells, unless another view has it.
function guess(view, among) {
  const { side } = read(view.file.name);
  view.side = among.some((one) => one !== view && one.side === side) ? '' : side;
}

export function nameOf(views) {
  const found = views.map((view) => read(view.file.name));
  const stems = new Set(found.map((one) => one.stem));
  const [stem] = stems;
  if (stems.size === 1 && stem) return stem;
  const folders = new Set(views.map((view) => folderOf(view.file)));
  const [folder] = folders;
  if (folders.size === 1 && folder) return folder.split('/').at(-1);
  return found.find((one) => one.stem)?.stem || stemOf(views[0].file.name);
}

// Another side for a view; the one that has it takes the view's old one.
export function show(object, view, side) {
  const other = side && object.views.find((one) => one !== view && one.side === side);
  if (other) other.side = view.side;
  view.side = side;
  return other || null;
}

// The single pictures that belong together: by a name before a side (`chair_front`, `chair_back`), else by a folder
// of their own.
export function together(objects) {
  const single = objects.filter((one) => !one.grouped);
  const byName = groups(single, (one) => {
    const { stem, side } = read(one.views[0].file.name);
    return side && stem ? `${folderOf(one.views[0].file)}/${stem.toLowerCase()}` : null;
  }).filter(distinct);
  const used = new Set(byName.flat());
  const folders = groups(single.filter((one) => !used.has(one)), (one) => folderOf(one.views[0].file) || null);
  return [...byName, ...(folders.length > 1 ? folders : [])].filter((some) => some.length > 1 && some.length <= MOST_VIEWS);
}

function groups(objects, keyOf) {
  const found = new Map();
  for (const one of objects) {
    const key = keyOf(one);
    if (key !== null) found.set(key, [...(found.get(key) || []), one]);
  }
  return [...found.values()];
}

const distinct = (some) => new Set(some.map((one) => read(one.views[0].file.name).side)).size === some.length && some.length <= SIDES.length;

// As it is sent: the views in the service's order.
export function ready({ name, grouped, views, metadata = {} }) {
  const sent = inOrder(views.map(({ file, side, thumbnail }) => ({ file, side: grouped ? side : '', thumbnail })));
  return { name: grouped ? name : views[0].file.name, grouped, metadata, views: sent };
}
