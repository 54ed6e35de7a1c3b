// Dark, light, or as the system is.

import { byId } from './dom.js';
import { toast } from './toasts.js';

const ORDER = ['', 'light', 'dark'];
const NAMES = { '': 'as the system', light: 'light', dark: 'dark' };

export function start() {
  const button = byId('theme');
  label(button);
  button.addEventListener('click', () => {
    const next = ORDER[(ORDER.indexOf(document.documentElement.dataset.theme || '') + 1) % ORDER.length];
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem('theme', next);
    } catch {
      toast('This browser keeps nothing, so the theme lasts for this page.');
    }
    label(button);
  });
}

function label(button) {
  const text = `Theme: ${NAMES[document.documentElement.dataset.theme || '']}`;
  button.setAttribute('aria-label', text);
  button.title = text;
}
