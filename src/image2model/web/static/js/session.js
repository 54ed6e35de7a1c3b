// Who is using the page: signing in with a key, and out.

import { client, get, onUnauthenticated, post } from './api.js';
import { byId, element, say, show } from './dom.js';

const OPEN = 'local'; // what the service calls everybody where no keys are used
// All tabs of a browser have one cookie: what one of them does, the others have to notice.
const tabs = globalThis.BroadcastChannel ? new BroadcastChannel('image2model session') : null;
let dialog = null;
let current = null;

export const role = () => current?.role || '';

// Who is signed in; null where nobody is. `none`: nobody has to be.
export async function ask() {
  current = await get('/session');
  show(byId('sign-out'), current.key_id !== OPEN);
  show(byId('admin-open'), current.role === 'admin');
  return current;
}

export function start(entered, left) {
  onUnauthenticated(() => open(entered));
  byId('sign-out').addEventListener('click', async () => {
    await client.request('DELETE', '/session');
    tabs?.postMessage('left');
    signedOut(entered, left);
  });
  tabs?.addEventListener('message', ({ data }) => {
    signedOut(entered, left);
    if (data !== 'entered') return;
    dialog.close();
    entered();
  });
}

function signedOut(entered, left) {
  current = null;
  show(byId('sign-out'), false);
  show(byId('admin-open'), false);
  left();
  open(entered);
}

function open(entered) {
  dialog ??= build(entered);
  if (!dialog.open) dialog.showModal();
}

function build(entered) {
  const key = element('input', { id: 'key', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'key-error key-help' });
  const error = element('p', { class: 'field-error', id: 'key-error', role: 'alert' });
  const form = element('form', { class: 'ask' },
    element('h2', { id: 'sign-in-title' }, 'Sign in'),
    element('div', { class: 'field' }, element('label', { for: 'key' }, 'API key'), key,
      element('p', { class: 'field-help', id: 'key-help' }, 'An operator makes one with the command ', element('code', {}, 'image2model keys create'), '. The key stays with the service; this browser keeps only a cookie that no script can read.'), error),
    element('div', { class: 'ask-buttons' }, element('button', { class: 'button primary', type: 'submit' }, 'Sign in')));
  const made = element('dialog', { 'aria-labelledby': 'sign-in-title' }, form);
  made.addEventListener('cancel', (event) => event.preventDefault()); // there is nothing behind it
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    say(error, '');
    try {
      await post('/session', { key: key.value.trim() });
      key.value = '';
      made.close();
      tabs?.postMessage('entered');
      entered();
    } catch (problem) {
      say(error, problem.status === 401 ? 'This key is not known here.' : problem.message);
      key.select();
    }
  });
  document.body.append(made);
  return made;
}
