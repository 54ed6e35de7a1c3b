// The pictures that were taken in and not sent yet. They become objects here: by a selection, by dropping one onto
// another, or by their names. Whatever the mouse does, the keyboard does too.

import * as advice from './advice.js';
import { announce } from './announcer.js';
import { byId, element, say, show } from './dom.js';
import { MOST_VIEWS, fault } from './fits.js';
import { plural } from './format.js';
import * as objects from './objects.js';
import { ObjectItem, PictureItem } from './staged-items.js';
import { thumbnail } from './thumbnails.js';
import { toast } from './toasts.js';

const MOST_WARNINGS = 3;
const items = [];
let changed = () => {};
let dragged = null; // the view that moves, and the object that it is of

// `told` is called after each change.
export function start(told) {
  changed = told;
  byId('group').addEventListener('click', () => group(picked()));
  byId('group-by-name').addEventListener('click', byName);
  byId('unpick').addEventListener('click', unpick);
  const list = byId('staged');
  list.addEventListener('dragstart', lift);
  list.addEventListener('dragend', () => (dragged = null));
  list.addEventListener('dragover', (event) => dragged && under(event));
  list.addEventListener('drop', (event) => dragged && under(event) && release(event));
  window.addEventListener('dragover', (event) => light(itemAt(event.target)));
  for (const end of ['drop', 'dragend', 'dragleave']) window.addEventListener(end, () => light(null));
}

export const count = () => items.length;
export const viewCount = () => items.reduce((sum, one) => sum + one.object.views.length, 0);
export const anyGrouped = () => items.some((one) => one.object.grouped);
export const ready = () => items.map((one) => objects.ready(one.object));

// `target`: where they were let go; onto an item they become views of its object.
export function add(files, target) {
  const fresh = files.map((file) => ({ name: '', grouped: false, views: [viewOf(file)] }));
  const onto = target && itemAt(target);
  if (onto && fresh.length) return join(onto, fresh);
  for (const object of fresh) put(object);
  return update();
}

export function clear() {
  advice.forget();
  items.length = 0;
  byId('staged').replaceChildren();
  update();
}

// Says beside each what the chosen models do not take. True where all can be sent.
export function judge(chosen) {
  let single = 0;
  let wrong = 0;
  for (const one of items) {
    const words = refusal(chosen, objects.sidesOf(one.object));
    one.judged(words);
    if (words && one.object.grouped) wrong += 1;
    else if (words) single += 1;
  }
  const advice = single ? `${refusal(chosen, [''])} Group pictures of the same object: select them, or drop one onto another.` : '';
  const more = wrong ? `${plural(wrong, 'object does', 'objects do')} not fit the model, as said beside ${wrong === 1 ? 'it' : 'them'}.` : '';
  say(byId('staged-fault'), [advice, more].filter(Boolean).join(' '));
  show(byId('staged-fault'), Boolean(advice || more));
  return !advice && !more;
}

// Of the first model that refuses it.
const refusal = (chosen, sides) => chosen.map((model) => fault(model, sides)).find(Boolean) || '';

function viewOf(file) {
  const view = { file, side: '', thumbnail: null, warning: '', image: element('img', { alt: '', draggable: false, hidden: true }) };
  thumbnail(file).then((url) => {
    view.thumbnail = url;
    if (url) view.image.src = url;
    show(view.image, Boolean(url));
  });
  advice.ask(file, ([first]) => {
    view.warning = first.message;
    warn();
  });
  return view;
}

// Puts an object into the list, at the place of `at` where it is given.
function put(object, at = null) {
  const item = object.grouped ? new ObjectItem(object, actions) : new PictureItem(object, actions);
  const place = at ? items.indexOf(at) : items.length;
  items.splice(place, 0, item);
  if (at) at.element.before(item.element);
  else byId('staged').append(item.element);
  return item;
}

function take(item) {
  items.splice(items.indexOf(item), 1);
  item.element.remove();
}

function update() {
  show(byId('staged'), items.length > 0);
  tools();
  warn();
  changed();
}

// The warnings in words; a few, and how many more.
function warn() {
  for (const one of items) one.warned();
  const found = items.flatMap((one) => one.object.views).filter((view) => view.warning);
  const lines = found.slice(0, MOST_WARNINGS).map((view) => element('p', {}, element('strong', {}, view.file.name), ` ${view.warning}`));
  if (found.length > MOST_WARNINGS) lines.push(element('p', {}, `${plural(found.length - MOST_WARNINGS, 'more picture has a warning', 'more pictures have warnings')}; see the marks.`));
  byId('staged-advice').replaceChildren(...lines);
  show(byId('staged-advice'), lines.length > 0);
}

const picked = () => items.filter((one) => one.picked);
const taken = (except = []) => new Set(items.filter((one) => one.object.grouped && !except.includes(one)).map((one) => one.object.name));

function unpick() {
  for (const one of items) one.picked = false;
  tools();
  items[0]?.focus();
}

// What can be done with the selection, and with those whose names belong together.
function tools() {
  const some = picked();
  const views = some.reduce((sum, one) => sum + one.object.views.length, 0);
  say(byId('picked-count'), some.length ? `${plural(some.length, 'selected', 'selected')}` : '');
  byId('group').disabled = some.length < 2 || views > MOST_VIEWS;
  byId('group').title = views > MOST_VIEWS ? `An object has at most ${MOST_VIEWS} views.` : '';
  show(byId('group'), some.length > 0);
  show(byId('unpick'), some.length > 0);
  const found = objects.together(items.map((one) => one.object));
  say(byId('group-by-name'), `Group by name: ${plural(found.length, 'object')}`);
  show(byId('group-by-name'), found.length > 0 && !some.length);
  show(byId('staged-tools'), some.length > 0 || found.length > 0);
}

function group(some) {
  if (some.length < 2) return;
  const object = objects.joined(some.map((one) => one.object), taken(some));
  const item = put(object, some[0]);
  some.forEach(take);
  update();
  item.focus();
  announce(`${plural(object.views.length, 'picture')} grouped as ${object.name}.`);
}

function byName() {
  const found = objects.together(items.map((one) => one.object));
  for (const some of found) {
    const own = items.filter((one) => some.includes(one.object));
    put(objects.joined(some, taken()), own[0]);
    own.forEach(take);
  }
  update();
  items.find((one) => one.object.grouped)?.focus();
  announce(`${plural(found.length, 'object')} made of pictures whose names belong together.`);
}

function join(onto, fresh) {
  const room = MOST_VIEWS - onto.object.views.length;
  if (fresh.length > room) {
    toast(`An object has at most ${MOST_VIEWS} views: ${plural(fresh.length - room, 'picture')} stayed outside.`);
    for (const object of fresh.splice(room)) put(object);
  }
  if (!fresh.length) return update();
  const object = objects.joined([onto.object, ...fresh], taken([onto]));
  const item = put(object, onto);
  take(onto);
  update();
  return announce(`${item.object.name} has ${plural(object.views.length, 'view')}.`);
}

// What the items ask for.
const actions = {
  picked: tools,
  remove: (item) => {
    const next = items[items.indexOf(item) + 1] || items[items.indexOf(item) - 1];
    take(item);
    update();
    if (next) next.focus();
    else byId('pick-files').focus();
  },
  rename: (item, text) => {
    item.object.name = objects.free(text, taken([item]));
    update();
    return item.object.name;
  },
  side: (item, view, side) => {
    const other = objects.show(item.object, view, side);
    if (other) announce(`${other.file.name} has the other side now.`);
    update();
  },
  // A view goes; what is left of it is a picture again where it is one.
  removeView: (item, view) => {
    const left = without(item, view);
    update();
    left.focus();
  },
  ungroup: (item) => {
    const [first] = item.object.views.map((view) => put(single(view), item));
    take(item);
    update();
    first.focus();
    announce(`${item.object.name} is ungrouped.`);
  },
};

const single = (view) => ({ name: '', grouped: false, views: [Object.assign(view, { side: '' })] });

function without(item, view) {
  const views = item.object.views.filter((one) => one !== view);
  const left = put(views.length > 1 ? { ...item.object, views } : single(views[0]), item);
  take(item);
  return left;
}

const itemAt = (node) => items.find((one) => one.element.contains(node)) || null;

function lift(event) {
  const item = itemAt(event.target);
  if (!item) return;
  const view = item.viewAt(event.target);
  dragged = view ? { item, view } : null;
  event.dataTransfer.effectAllowed = 'move';
  event.dataTransfer.setData('text/plain', view ? view.file.name : '');
}

// The item under the pointer that what is dragged may become a view of.
function under(event) {
  const item = itemAt(event.target);
  if (!item || item === dragged.item) return null;
  event.preventDefault();
  return item;
}

function release(event) {
  const onto = under(event);
  const { item, view } = dragged;
  dragged = null;
  light(null);
  if (item.object.grouped) without(item, view);
  else take(item);
  join(onto, [single(view)]);
}

function light(item) {
  for (const one of items) one.element.classList.toggle('onto', one === item && one !== dragged?.item);
}
