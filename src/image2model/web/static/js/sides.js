// The sides of an object that a view can show: their names in the order of the service, their words, and how a
// file's name tells one.

import { plural } from './format.js';

export const SIDES = ['front', 'back', 'left', 'right', 'top', 'bottom', 'left_front', 'right_front'];
const AT_END = /(?:^|[\s_-])(left[\s_-]front|right[\s_-]front|front|back|left|right|top|bottom)$/i;

export const sideWords = (side) => side.replace('_', ' ');
export const sideTitle = (side) => sideWords(`${side[0].toUpperCase()}${side.slice(1)}`);
export const stemOf = (name) => name.replace(/\.[^.]*$/, '');

// `chair_front.jpg` is the front of `chair`; `{stem, side}` with an empty side where the name tells none.
export function read(name) {
  const stem = stemOf(name);
  const found = stem.match(AT_END);
  if (!found) return { stem, side: '' };
  return { stem: stem.slice(0, found.index).replace(/[\s_-]+$/, ''), side: found[1].toLowerCase().replace(/[\s-]/, '_') };
}

// Named sides first, as the service sends them to FAL, then those without one as they came.
export function inOrder(views) {
  const place = ({ side }) => (side ? SIDES.indexOf(side) : SIDES.length);
  return [...views].sort((one, other) => place(one) - place(other));
}

// `4 views: front, back, left, right` of an object as documents have it; empty for a picture.
export function viewWords(views) {
  if (!views || views.length < 2) return views?.[0]?.side ? sideWords(views[0].side) : '';
  const sides = views.map((view) => view.side).filter(Boolean).map(sideWords);
  return `${plural(views.length, 'view')}${sides.length ? `: ${sides.join(', ')}` : ''}`;
}
