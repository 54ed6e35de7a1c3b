// The page of the API reference: asks for a key where the service does, then shows the document.

import { fetchDocument } from './document.js';
import { show } from './viewer.js';

const form = document.getElementById('key-form');
const field = document.getElementById('key');
const message = document.getElementById('message');
const system = matchMedia('(prefers-color-scheme: dark)');

function applyTheme() {
  const chosen = document.documentElement.dataset.theme;
  document.documentElement.classList.toggle('dark-mode', chosen ? chosen === 'dark' : system.matches);
}

function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function load(key) {
  say('');
  const { document: reference, refusal } = await fetchDocument(key);
  if (reference) {
    form.hidden = true;
    field.value = '';
    show(document.getElementById('reference'), reference, key, () => {
      document.documentElement.dataset.ready = '';
    });
    return;
  }
  if (refusal.status === 401) {
    form.hidden = false;
    field.focus();
  }
  if (key || refusal.status !== 401) say(refusal.text);
}

applyTheme();
system.addEventListener('change', applyTheme);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  load(field.value.trim());
});
load('');
