// Failures by cause, and the dead letters with their replay. A replay is a new, paid run.

import { BASE, post } from '../api.js';
import { button, element } from '../dom.js';
import { moment, plural } from '../format.js';
import { titleOf } from '../models.js';
import { failed, toast } from '../toasts.js';
import { table } from './table.js';

export function deadPart(page, refresh) {
  const letters = page.images;
  const rows = letters.map((letter) => [
    element('span', { class: 'letter' }, picture(letter), letter.image.filename),
    element('span', {}, element('code', {}, letter.error?.code || ''), element('span', { class: 'letter-why' }, letter.error?.message || '')),
    titleOf(letter.model),
    plural(letter.attempts.length, 'attempt'),
    moment(letter.failed_at),
    replay(letter, refresh),
  ]);
  const more = page.next_cursor ? element('p', { class: 'nothing' }, 'There are more; the newest 100 are shown.') : null;
  return element('div', {}, causes(letters, refresh), table('Dead letters', ['Picture', 'Cause', 'Model', 'Tried', 'When', ''], rows, 'Nothing has failed.'), more ?? '');
}

const picture = (letter) => element('img', { src: `${BASE}/images/${letter.job_id}/${letter.image_id}/thumbnail`, alt: '', loading: 'lazy', width: 34, height: 34, on: { error: (event) => event.target.remove() } });

function causes(letters, refresh) {
  const counts = new Map();
  for (const { error } of letters) counts.set(error?.code || 'unknown', (counts.get(error?.code || 'unknown') || 0) + 1);
  const made = [...counts].sort((a, b) => b[1] - a[1]).map(([code, count]) =>
    element('li', {}, element('code', {}, code), element('strong', {}, String(count)),
      button('Replay all', { kind: 'quiet small', 'aria-label': `Replay all ${code}`, on: { click: () => run('/admin/dead/replay', { code, limit: 100 }, refresh) } })));
  return element('ul', { class: 'causes', 'aria-label': 'Failures by cause' }, ...made);
}

function replay(letter, refresh) {
  return button('Replay', { kind: 'button small', 'aria-label': `Replay ${letter.image.filename}`, on: { click: () => run(`/admin/dead/${letter.image_id}/replay`, {}, refresh) } });
}

async function run(path, body, refresh) {
  try {
    const answer = await post(path, body);
    toast(`${plural(answer.replayed ?? 1, 'picture')} started again.`);
  } catch (error) {
    failed(error);
  }
  document.activeElement?.blur();
  refresh();
}
