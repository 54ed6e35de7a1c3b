// All batches, newest first; only what has changed is drawn again.

import { Batch } from './batch.js';
import * as comparisons from './comparisons.js';
import * as documents from './documents.js';
import { byId, say, show } from './dom.js';
import * as filters from './filters.js';
import { plural } from './format.js';
import * as jobs from './jobs.js';
import * as live from './live.js';
import { isFinished } from './states.js';
import { failed } from './toasts.js';

const batches = new Map();
let open = () => {};
let known = false;

export function start(opened) {
  open = opened;
  filters.start(filtered);
  jobs.onChange(draw);
  setInterval(count, 1000);
  byId('older').addEventListener('click', () => documents.nextPage().catch(failed));
  byId('batches').addEventListener('keydown', move);
  byId('batches').addEventListener('focusin', (event) => event.target.matches('.card-open') && rove(event.target));
}

// The first answer is there: an empty page is truly empty from now on.
export function settled() {
  known = true;
  draw({ list: true, jobs: new Set(), pictures: new Set() });
}

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) documents.want(entry.target.batch.job);
}, { rootMargin: '600px' });

function draw({ list, jobs: changed, pictures }) {
  if (list) arrange();
  for (const job of changed) batches.get(job)?.update();
  for (const picture of pictures) {
    const batch = batches.get(picture.job);
    const card = batch?.cards.get(picture);
    if (!card) continue;
    card.update();
    live.consider(card);
    if (filters.needsPictures()) batch.filter();
  }
  summarize();
}

function arrange() {
  const holder = byId('batches');
  const present = new Set(jobs.all());
  for (const [job, batch] of batches) if (!present.has(job)) drop(job, batch);
  const nodes = comparisons.arranged(jobs.all(), (job) => batchOf(job).element); // may move some of them
  let place = holder.firstElementChild;
  for (const node of nodes) {
    if (node === place) place = place.nextElementSibling;
    else holder.insertBefore(node, place);
  }
  for (const job of jobs.all()) if (job.hidden) show(batchOf(job).element, false);
  comparisons.tidy();
  show(byId('older'), documents.older());
}

function batchOf(job) {
  if (!batches.has(job)) {
    const batch = new Batch(job, open);
    batches.set(job, batch);
    near.observe(batch.element);
    for (const card of batch.cards.values()) live.consider(card);
  }
  return batches.get(job);
}

function drop(job, batch) {
  batches.delete(job);
  near.unobserve(batch.element);
  batch.element.remove();
  comparisons.tidy();
}

function filtered() {
  for (const [job, batch] of batches) {
    if (filters.needsPictures()) documents.want(job);
    batch.filter();
  }
  summarize();
}

function summarize() {
  comparisons.tidy();
  const totals = filters.draw();
  const shown = [...batches.values()].some((batch) => !batch.element.hidden);
  say(byId('summary'), totals.all ? plural(totals.all, 'picture') : '');
  const percent = totals.all ? `(${totals.done + totals.failed}/${totals.all}) ` : '';
  document.title = `${totals.running ? percent : ''}image2model`;
  show(byId('empty'), known && !shown);
  const nothing = totals.all === 0;
  say(byId('empty-title'), nothing ? 'Your models will turn here' : 'Nothing matches');
  say(byId('empty-text'), nothing
    ? 'Drop a few pictures, or a whole folder. More than 25 become several batches by themselves.'
    : 'No picture passes the filters above.');
}

// Seconds go on without news.
function count() {
  if (document.hidden) return;
  for (const [job, batch] of batches) {
    if (job.finished_at || !job.job_id) continue;
    for (const [picture, card] of batch.cards) if (!isFinished(picture)) card.tell();
  }
}

// The pictures in the order of the page, for the viewer's way to the next one.
export function inOrder() {
  return [...byId('batches').querySelectorAll('.card:not([hidden])')].map((node) => node.card.picture);
}

export const cardOf = (picture) => batches.get(picture.job)?.cards.get(picture);

function rove(target) {
  for (const one of target.closest('.cards').querySelectorAll('.card-open[tabindex="0"]')) one.tabIndex = -1;
  target.tabIndex = 0;
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function move(event) {
  const step = STEPS[event.key];
  if (!step || !event.target.matches('.card-open')) return;
  event.preventDefault();
  const all = [...byId('batches').querySelectorAll('.batch:not([hidden]) .card:not([hidden]) > .card-open')];
  const place = all.indexOf(event.target);
  const next = step[0] ? all[place + step[0]] : below(all, place, step[1]);
  next?.focus();
}

function below(all, place, way) {
  const here = all[place].getBoundingClientRect();
  for (let at = place + way; all[at]; at += way) {
    const there = all[at].getBoundingClientRect();
    const away = way > 0 ? there.top >= here.bottom - 1 : there.bottom <= here.top + 1;
    const beside = Math.abs(there.left - here.left) < here.width / 2;
    if (away && beside) return all[at];
  }
  return way > 0 ? all.at(-1) : all[0];
}
