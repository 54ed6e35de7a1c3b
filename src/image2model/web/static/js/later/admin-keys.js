// API keys: made, listed, revoked. A key's text is shown once, right after it is made.

import { client, post } from '../api.js';
import { button, element } from '../dom.js';
import { moment } from '../format.js';
import { failed, toast } from '../toasts.js';
import { table } from './table.js';

const FIELDS = [
  ['name', 'Name', 'shop', true],
  ['rate', 'Rate', '60/min', false],
  ['budget', 'Budget', '25.00/month', false],
  ['expires', 'Expires in', '90d', false],
  ['models', 'Models', 'fal-ai/*', false],
];
let made = null;

export function keysPart({ keys }, refresh) {
  const rows = keys.map((key) => [
    key.name,
    element('code', {}, `${key.prefix}…`),
    key.role,
    [key.rate, key.budget, ...(key.models || [])].filter(Boolean).join(', ') || 'no limits of its own',
    key.last_used_at ? moment(key.last_used_at) : 'never used',
    key.status === 'active' ? revoke(key, refresh) : element('span', { class: 'tag warn' }, key.status),
  ]);
  const holder = element('div', {});
  const add = button('New key', { kind: 'button small', symbol: 'key', on: { click: () => add.replaceWith(form(refresh)) } });
  holder.append(made ? fresh() : '', table('Keys', ['Name', 'Begins with', 'Role', 'Limits', 'Last used', ''], rows, 'There are no keys yet.'), add);
  return holder;
}

function fresh() {
  return element('p', { class: 'notice', role: 'status' }, element('span', {}, `The key of “${made.name}”, shown only now: `, element('code', {}, made.key)));
}

function form(refresh) {
  const inputs = new Map(FIELDS.map(([name, , hint, required]) => [name, element('input', { id: `new-${name}`, placeholder: hint, required, autocomplete: 'off' })]));
  const role = element('select', { id: 'new-role' }, element('option', {}, 'user'), element('option', {}, 'admin'));
  const fields = FIELDS.map(([name, label]) => element('div', { class: 'field' }, element('label', { for: `new-${name}` }, label), inputs.get(name)));
  const shown = element('form', { class: 'new-key' }, ...fields,
    element('div', { class: 'field' }, element('label', { for: 'new-role' }, 'Role'), role),
    element('button', { class: 'button primary', type: 'submit' }, 'Make the key'));
  shown.addEventListener('submit', async (event) => {
    event.preventDefault();
    const wish = { role: role.value };
    for (const [name, input] of inputs) if (input.value.trim()) wish[name] = input.value.trim();
    if (wish.models) wish.models = wish.models.split(/[\s,]+/).filter(Boolean);
    try {
      made = await post('/admin/keys', wish);
      shown.remove();
      document.activeElement?.blur();
      refresh();
    } catch (error) {
      failed(error);
    }
  });
  return shown;
}

function revoke(key, refresh) {
  const ask = () => toast(`“${key.name}” opens nothing from now on. Revoke it?`, { undo: { label: 'Revoke', run: () => end(key, refresh) } });
  return button('Revoke', { kind: 'button small danger', 'aria-label': `Revoke ${key.name}`, on: { click: ask } });
}

async function end(key, refresh) {
  try {
    await client.request('DELETE', `/admin/keys/${encodeURIComponent(key.key_id)}`);
  } catch (error) {
    failed(error);
  }
  refresh();
}
