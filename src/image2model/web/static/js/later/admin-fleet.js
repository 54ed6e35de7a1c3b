// Queues, workers and money.

import { now, post } from '../api.js';
import { button, element } from '../dom.js';
import { number, plural, seconds, usd } from '../format.js';
import { titleOf } from '../models.js';
import { failed } from '../toasts.js';
import { table } from './table.js';

const QUEUES = { model_generation: 'Generation', batch_processing: 'Batches and webhooks', maintenance: 'Maintenance', picture_fetch: 'Pictures by address' };
const REASONS = { paused: 'paused by an administrator', operator: 'paused by an administrator', account: 'FAL refuses the account', fal: 'FAL is down' };
const BY_HAND = new Set(['paused', 'operator', 'admin']);

export function figures(stats) {
  const waiting = stats.queues.reduce((sum, queue) => sum + queue.waiting, 0);
  return [
    ['At FAL now', number(stats.images_in_flight)],
    ['FAL runs at once', atOnce(stats.fal_concurrency)],
    ['Waiting', number(waiting)],
    ['Workers', number(stats.workers)],
    ['Spent, 30 days', usd(stats.total_cost_usd)],
    ...balance(stats.fal_balance),
  ].map(([name, value]) => element('div', { class: 'figure' }, element('p', {}, name), element('strong', {}, value)));
}

function balance(found) {
  if (!found || found.balance_usd === null) return [];
  const enough = found.enough_for === null ? '' : ` · ${plural(found.enough_for, 'more picture')}`;
  return [['FAL balance', `${usd(found.balance_usd)}${enough}`]];
}

// What an operator should know of FAL's account and list of models; null where all is well.
export function accountPart(stats) {
  const notices = [stats.fal_balance?.warning, stats.catalogue?.error ? `FAL's list of models cannot be read: ${stats.catalogue.error}` : ''].filter(Boolean);
  const rows = (stats.price_drift || []).map((one) => [titleOf(one.model), usd(one.quoted_usd), usd(one.billed_usd), `${one.drift > 0 ? '+' : ''}${Math.round(one.drift * 100)} %`, number(one.bookings)]);
  if (!notices.length && !rows.length) return null;
  return element('div', {}, ...notices.map((text) => element('p', { class: 'notice', role: 'status' }, text)),
    rows.length ? table('Bills that differ from the quotes', ['Model', 'Quoted', 'Billed', 'Difference', 'Pictures'], rows, '') : null);
}
const SOURCES = { learned: 'learned', set: 'set', header: 'FAL says' };
const atOnce = (fal) => `${number(fal.limit)} (${SOURCES[fal.source] || fal.source})`;

export function queuesPart(stats, refresh) {
  const rows = stats.queues.map((queue) => [
    QUEUES[queue.name] || queue.name,
    number(queue.waiting),
    queue.waiting ? seconds(queue.oldest_seconds) : '',
    queue.paused.length ? element('span', { class: 'tag warn' }, queue.paused.map((one) => REASONS[one] || one).join(', ')) : element('span', { class: 'tag good' }, 'running'),
    hand(queue, refresh),
  ]);
  return table('Queues', ['Queue', 'Waiting', 'Oldest', 'State', ''], rows, 'There are no queues.');
}

// Those that FAL refuses or fails at; without any there is no table.
export function endpointsPart(stats) {
  const rows = (stats.endpoints || []).map((one) => [
    titleOf(one.model),
    element('span', { class: 'tag warn' }, one.why === 'refused' ? 'FAL refuses it' : 'it fails'),
    one.message,
    number(one.waiting),
    ago(one.since),
    until(one.next_probe_at),
  ]);
  return rows.length ? table('Models that FAL does not take', ['Model', 'State', 'FAL says', 'Waiting', 'For', 'Next try'], rows, '') : null;
}

const KEPT = {
  default: 'FAL keeps pictures and models as its account says. Anyone who has a file’s address can open it.',
  expire: 'Files at FAL expire. Until then, anyone who has a file’s address can open it. Files on partners’ hosts stay public.',
  private: 'Models are restricted at FAL, and deleted there once they are stored here. Files on partners’ hosts stay public.',
};

// What FAL keeps, and what is still to be deleted there. A refused admin key deletes nothing until it is replaced.
export function privacyPart(stats) {
  const found = stats.fal_deletions;
  const lines = [element('p', {}, KEPT[stats.fal_privacy] || KEPT.default)];
  if (found.refused) lines.push(element('p', { class: 'field-error', role: 'status' }, `FAL refuses the admin key (${found.refused}). Nothing is deleted there until I2M_FAL_ADMIN_KEY is an admin key of your account; nothing is lost meanwhile.`));
  else if (found.failing) lines.push(element('p', { class: 'field-error', role: 'status' }, `${plural(found.failing, 'request')} could not be deleted yet: ${found.last_error}. They are tried again until they are gone.`));
  if (stats.fal_privacy === 'private' || found.pending || found.done) {
    lines.push(table('Requests at FAL', ['In use', 'To be deleted', 'Deleted'], [[number(found.kept), number(found.pending), number(found.done)]], ''));
  }
  return element('div', {}, ...lines);
}

const until = (stamp) => {
  const left = (Date.parse(stamp) - now()) / 1000;
  return left > 0 ? `in ${seconds(left)}` : 'now';
};

function hand(queue, refresh) {
  const paused = queue.paused.some((one) => BY_HAND.has(one));
  const act = async () => {
    try {
      await post(`/admin/queues/${queue.name}/${paused ? 'resume' : 'pause'}`);
    } catch (error) {
      failed(error);
    }
    document.activeElement?.blur();
    refresh();
  };
  const name = QUEUES[queue.name] || queue.name;
  return button(paused ? 'Resume' : 'Pause', { kind: 'button small', 'aria-label': `${paused ? 'Resume' : 'Pause'} ${name}`, on: { click: act } });
}

export function workersPart(answer) {
  const rows = (answer.workers || []).map((worker) => [
    `${worker.host} · ${worker.pid}`,
    `${worker.running} of ${worker.slots}`,
    (worker.queues || []).map((name) => QUEUES[name] || name).join(', '),
    ago(worker.started_at),
    beat(worker),
  ]);
  return table('Workers', ['Worker', 'Running', 'Queues', 'Up for', 'Heartbeat'], rows, 'No worker runs. Pictures wait until one does.');
}

const ago = (stamp) => (stamp ? seconds((now() - Date.parse(stamp)) / 1000) : '');

function beat(worker) {
  const stamp = worker.last_beat_at;
  return element('span', { class: 'tag good' }, stamp ? `${ago(stamp)} ago` : 'alive');
}

export function spendingPart(stats) {
  const sums = new Map();
  for (const row of stats.spending) {
    const key = JSON.stringify([row.day, row.keys.join(', ') || row.owner, row.model]);
    sums.set(key, (sums.get(key) || 0) + row.cost_usd);
  }
  const rows = [...sums].map(([key, cost]) => {
    const [day, who, model] = JSON.parse(key);
    return [day, who, titleOf(model), usd(cost)];
  });
  const shown = rows.slice(0, 60);
  const made = table('Spending', ['Day', 'Who', 'Model', 'Cost'], shown, 'Nothing was spent yet.');
  return rows.length > shown.length ? element('div', {}, made, element('p', { class: 'nothing' }, `${plural(rows.length - shown.length, 'more row')} not shown.`)) : made;
}
