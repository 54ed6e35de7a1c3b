// The dialog with one model, large: who opened it may go through the others from here.

import * as gallery from '../gallery.js';
import * as jobs from '../jobs.js';
import * as live from '../live.js';
import { button, element } from '../dom.js';
import { Details } from './details.js';
import { Stage } from './stage.js';

let dialog = null;
let stage = null;
let details = null;
let picture = null;

export function open(wanted) {
  if (!dialog) build();
  if (!dialog.open) dialog.showModal();
  live.rest(true);
  display(wanted);
}

function build() {
  stage = new Stage();
  const close = button('Close', { symbol: 'close', only: true, on: { click: () => dialog.close() } });
  details = new Details(close, () => dialog.close());
  stage.element.append(element('div', { class: 'stage-moves' },
    button('Previous', { symbol: 'left', only: true, on: { click: () => step(-1) } }),
    button('Next', { symbol: 'right', only: true, on: { click: () => step(1) } })));
  dialog = element('dialog', { class: 'viewer', 'aria-label': 'Model' }, stage.element, details.element);
  dialog.addEventListener('close', closed);
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close()); // beside it
  dialog.addEventListener('keydown', keys);
  document.body.append(dialog);
  jobs.onChange(({ pictures }) => dialog.open && pictures.has(picture) && display(picture));
}

function display(wanted) {
  picture = wanted;
  dialog.setAttribute('aria-label', wanted.filename);
  stage.display(wanted);
  details.display(wanted);
}

function step(way) {
  const all = gallery.inOrder();
  const place = all.indexOf(picture);
  const next = all[(place + way + all.length) % all.length];
  if (next) display(next);
}

// Arrows turn the model where it has the focus, and go through the models elsewhere.
function keys(event) {
  if (event.target.closest('model-viewer, input, select')) return;
  if (event.key === 'ArrowLeft') step(-1);
  else if (event.key === 'ArrowRight') step(1);
}

function closed() {
  stage.empty();
  live.rest(false);
  gallery.cardOf(picture)?.open.focus();
}
