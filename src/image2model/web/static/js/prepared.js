// Pictures that were prepared and wait for a person's word before they are paid for.

import * as actions from './actions.js';
import { button, element } from './dom.js';

export const waits = (picture) => picture.status === 'queued' && picture.waiting_for === 'confirmation';
export const files = (picture) => picture.preparation?.files || [];

// The two answers.
export function buttons(picture, kind = 'small') {
  const answer = (accept) => () => actions.confirm(picture, accept);
  const name = picture.filename;
  return [
    button('Use it', { kind: `button primary ${kind}`, 'aria-label': `Use the prepared picture of ${name}`, on: { click: answer(true) } }),
    button('Leave out', { kind: `button ${kind}`, 'aria-label': `Leave out ${name}`, on: { click: answer(false) } }),
  ];
}

export function figures(picture) {
  return files(picture).map(({ url }, index) => element('figure', { class: 'viewer-original prepared' },
    element('img', { src: url, alt: `Prepared: ${picture.filename}` }),
    element('figcaption', {}, files(picture).length > 1 ? `Prepared, view ${index + 1}` : 'Prepared')));
}
