// Short messages at the foot of the page, some with a way back.

import { byId, element } from './dom.js';

// Returns a function that takes the message away. `undo`: `{label, run}`; `ended` is called when the message
// goes without it. It stays for `data-life-ms` of its place, and while the pointer or the focus is on it.
export function toast(text, { undo = null, ended = null } = {}) {
  const message = element('div', { class: 'toast' }, element('p', {}, text));
  let open = true;
  let timer = 0;
  const close = () => {
    if (!open) return false;
    open = false;
    clearTimeout(timer);
    message.remove();
    return true;
  };
  const end = () => close() && ended?.();
  const act = () => close() && undo?.run();
  message.append(element('button', { type: 'button', on: { click: undo ? act : end } }, undo?.label || 'Close'));
  const place = box();
  const wait = () => {
    clearTimeout(timer);
    if (open && !message.matches(':hover, :focus-within')) timer = setTimeout(end, Number(place.dataset.lifeMs));
  };
  for (const event of ['pointerenter', 'pointerleave', 'focusin', 'focusout']) message.addEventListener(event, () => setTimeout(wait));
  place.append(message);
  wait();
  return end;
}

// A modal dialog covers what is outside it and takes its clicks away: while one is open they are in it.
function box() {
  const toasts = byId('toasts');
  const dialog = document.querySelector('dialog:modal');
  const home = dialog || document.body;
  if (toasts.parentNode !== home) {
    home.append(toasts);
    dialog?.addEventListener('close', () => document.body.append(toasts), { once: true });
  }
  return toasts;
}

export const failed = (error) => toast(error.message);
