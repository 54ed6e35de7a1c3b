// Sends batches: a few at once, with progress, again and again under one idempotency key until the service
// has accepted or refused them.

import { ApiError, BASE, Unreachable, refused } from './api.js';
import { fetchJob } from './documents.js';
import * as health from './health.js';
import * as jobs from './jobs.js';
import { partOf } from './objects.js';
import * as outbox from './outbox.js';
import { thumbnail } from './thumbnails.js';

const BATCH = 25;
const LARGEST_BATCH = 1e9; // the service takes 1 GiB
const AT_ONCE = 2;
const LONGEST_WAIT_S = 30;
const PASSING = new Set([429, 502, 503, 504]);
const waiting = [];
let running = 0;

export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

// The objects by batches, each as large as the service takes.
export function split(objects) {
  const batches = [];
  let room = 0;
  for (const one of objects) {
    const size = sizeOf(one);
    if (!batches.length || batches.at(-1).length === BATCH || size > room) {
      batches.push([]);
      room = LARGEST_BATCH;
    }
    batches.at(-1).push(one);
    room -= size;
  }
  return batches;
}

const sizeOf = (object) => object.views.reduce((sum, view) => sum + view.file.size, 0);

// `objects`: see objects.js, `ready`. `params` are the first model's, `fields` more of the form. Each batch has its share
// of `maxCost`.
export function send(objects, { models, params, fields = [], metadata = {}, maxCost = null }) {
  const made = Date.now();
  for (const [round, some] of [...split(objects).entries()].reverse()) {
    const share = maxCost === null ? null : Math.floor((maxCost * 1e6 * some.length) / objects.length) / 1e6;
    const kept = some.map((one) => ({ ...one, views: one.views.map(({ file, side }) => ({ file, side })) }));
    const batch = { key: newKey(), models, params, fields, metadata, maxCost: share, made: made + round, objects: kept };
    begin(batch, some.map((one) => one.views[0].thumbnail), true);
  }
  pump();
}

// What an earlier page did not get through with.
export async function resume() {
  const batches = await outbox.kept();
  for (const batch of batches.sort((a, b) => b.made - a.made)) begin(read(batch), [], false);
  pump();
}

// What a page kept that knew no objects and one model alone.
const read = (batch) => ({ ...batch, objects: batch.objects || single(batch), models: batch.models || [batch.model], fields: batch.fields || [] });

const single = ({ files, own = [] }) =>
  files.map((file, index) => ({ name: file.name, grouped: false, metadata: own[index] || {}, views: [{ file, side: '' }] }));

function begin(batch, thumbnails, fresh) {
  const job = {
    job_id: null, status: 'uploading', model: batch.models[0], params: batch.params, total: batch.objects.length, counts: {}, progress: 0,
    cost_usd: 0, estimated_cost_usd: null, waiting_for: null, rejected: [], created_at: new Date(batch.made).toISOString(),
    heard: 0, images: null, upload: { batch, error: null, request: null },
  };
  job.images = batch.objects.map((object, index) => pictureOf(job, object, index, thumbnails[index] || null));
  for (const [index, one] of job.images.entries()) if (!one.thumbnail) drawn(one, batch.objects[index].views[0].file);
  jobs.addLocal(job);
  waiting.unshift({ job, fresh });
}

function pictureOf(job, object, index, small) {
  const views = object.views.map(({ file, side }) => ({ side: side || null, filename: file.name, size: file.size }));
  return jobs.picture(job, { index, filename: object.name, size: sizeOf(object), thumbnail: small, views });
}

async function drawn(picture, file) {
  picture.thumbnail = await thumbnail(file);
  jobs.changed({ picture });
}

function pump() {
  while (running < AT_ONCE && waiting.length) {
    const { job, fresh } = waiting.shift();
    running += 1;
    outbox.exclusively(job.upload.batch.key, () => carry(job, fresh)).finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function carry(job, fresh) {
  const { batch } = job.upload;
  if (fresh) await outbox.keep(batch);
  for (let attempt = 0; job.upload; attempt += 1) {
    try {
      const document = await transfer(job);
      await outbox.drop(batch.key);
      return taken(job, document);
    } catch (error) {
      if (!job.upload) return undefined; // removed meanwhile
      if (!passes(error)) return refuse(job, error);
      await pause(job, error, attempt);
    }
  }
  return undefined;
}

const passes = (error) => error instanceof Unreachable || PASSING.has(error.status) || error.code === 'idempotency_in_progress';

function pause(job, error, attempt) {
  if (error.code === 'store_unavailable') health.refused();
  const wait = Math.min(LONGEST_WAIT_S, error.retryAfter ?? 2 ** attempt / 2);
  job.upload.error = `${error.message} Trying again by itself.`;
  job.upload.passing = true;
  jobs.changed({ job });
  return new Promise((done) => setTimeout(done, wait * 1000));
}

function transfer(job) {
  const { batch } = job.upload;
  const form = new FormData();
  const [first, ...others] = batch.models;
  for (const model of batch.models) form.append('model', model);
  if (Object.keys(batch.params).length) form.append('params', JSON.stringify(others.length ? { [first]: batch.params } : batch.params));
  for (const [name, text] of [...batch.fields, ...own(batch)]) form.append(name, text);
  if (batch.maxCost) form.append('max_cost_usd', batch.maxCost.toFixed(6));
  form.append('on_invalid', 'skip');
  for (const { name, grouped, views } of batch.objects) {
    for (const { file, side } of views) form.append(grouped ? partOf(name, side) : 'files', file, file.name);
  }
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    job.upload.request = request;
    request.open('POST', `${BASE}/upload/batch`);
    request.setRequestHeader('Idempotency-Key', batch.key);
    request.upload.onprogress = (event) => progress(job, event.loaded / event.total);
    request.onload = () => (request.status === 202 ? done(JSON.parse(request.responseText)) : fail(problem(request)));
    request.onerror = request.onabort = () => fail(new Unreachable());
    request.send(form);
  });
}

// The fields with the caller's own data, where there is any. A file's `part` is its place among all files.
function own({ metadata = {}, objects }) {
  const manifest = {};
  let part = 0;
  for (const one of objects) {
    const { name, grouped, metadata: said } = one;
    if (Object.keys(said).length) {
      if (grouped) (manifest.objects ??= []).push({ name, metadata: said });
      else (manifest.files ??= []).push({ part, metadata: said });
    }
    part += one.views.length;
  }
  return [
    ...(Object.keys(metadata).length ? [['metadata', JSON.stringify(metadata)]] : []),
    ...(Object.keys(manifest).length ? [['manifest', JSON.stringify(manifest)]] : []),
  ];
}

const problem = (request) => refused(request.status, request.responseText, request.getResponseHeader('Retry-After'));

// Files go one after the other, so a share of the whole is a share of each.
function progress(job, share) {
  let before = 0;
  const sum = job.images.reduce((total, one) => total + one.size, 0) || 1;
  for (const one of job.images) {
    one.status = 'uploading';
    one.sent = Math.min(1, Math.max(0, (share * sum - before) / (one.size || 1)));
    before += one.size;
    jobs.changed({ picture: one });
  }
  job.upload.error = null;
  jobs.changed({ job });
}

// One job, or one for each model.
function taken(job, document) {
  const [first, ...others] = document.jobs || [document];
  jobs.accepted(job, first);
  for (const one of others) jobs.put(one, 0);
  for (const one of [first, ...others]) fetchJob(one.job_id); // events may have come before the answer, which is then old
}

async function refuse(job, error) {
  job.upload.error = error.message;
  job.upload.passing = false;
  job.upload.request = null;
  job.status = 'refused';
  const faults = error instanceof ApiError ? error.errors : [];
  for (const one of job.images) {
    const fault = faults.find(({ file }) => file === one.filename || one.views.some((view) => view.filename === file));
    one.status = fault ? 'rejected' : 'waiting';
    one.error = fault ? { message: fault.detail } : null;
    jobs.changed({ picture: one });
  }
  jobs.changed({ job });
}

// The same batch once more, under the same key: a refusal has freed it.
export function again(job) {
  job.upload.error = null;
  job.status = 'uploading';
  waiting.push({ job, fresh: false });
  jobs.changed({ job });
  pump();
}

export function abandon(job) {
  const { batch, request } = job.upload;
  job.upload = null;
  request?.abort();
  outbox.drop(batch.key);
  jobs.remove(job);
}
