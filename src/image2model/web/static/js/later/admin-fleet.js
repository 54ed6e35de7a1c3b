// Queues, workers and money.

import { now, post } from '../api.js';
import { button, element } from '../dom.js';
import { number, plural, seconds, usd } from '../format.js';
import { titleOf } from '../models.js';
import { failed } from '../toasts.js';
import { table } from './table.js';

const QUEUES = { model_generation: 'Generation', batch_processing: 'Batches and webhooks', maintenance: 'Maintenance' };
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
  ].map(([name, value]) => element('div', { class: 'figure' }, element('p', {}, name), element('strong', {}, value)));
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
