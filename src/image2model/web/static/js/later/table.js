// A table that a screen reader understands and a narrow screen can scroll.

import { element } from '../dom.js';

// `columns`: headings. `rows`: lists of texts or elements.
export function table(label, columns, rows, nothing) {
  if (!rows.length) return element('p', { class: 'nothing' }, nothing);
  const head = element('tr', {}, ...columns.map((name) => element('th', { scope: 'col' }, name)));
  const body = rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell ?? ''))));
  const made = element('table', { 'aria-label': label }, element('thead', {}, head), element('tbody', {}, ...body));
  return element('div', { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': label }, made);
}
