// Sends batches: a few at once, with progress, again and again under one idempotency key until the service
// has accepted or refused them.

import { ApiError, BASE, Unreachable, refused } from './api.js';
import { fetchJob } from './documents.js';
import * as health from './health.js';
import * as jobs from './jobs.js';
import * as outbox from './outbox.js';
import { thumbnail } from './thumbnails.js';

export const BATCH = 25;
const AT_ONCE = 2;
const LONGEST_WAIT_S = 30;
const PASSING = new Set([429, 502, 503, 504]);
const waiting = [];
let running = 0;

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

// `pictures`: `{file, thumbnail, metadata}`. Each 25 become a batch of their own, with its share of `maxCost`.
export function send(pictures, { model, params, metadata = {}, maxCost = null }) {
  const rounds = Math.ceil(pictures.length / BATCH);
  for (let round = rounds - 1; round >= 0; round -= 1) {
    const some = pictures.slice(round * BATCH, (round + 1) * BATCH);
    const share = maxCost === null ? null : Math.floor((maxCost * 1e6 * some.length) / pictures.length) / 1e6;
    const batch = { key: newKey(), model, params, metadata, own: some.map((one) => one.metadata || {}), maxCost: share, made: Date.now() + round, files: some.map((one) => one.file) };
    begin(batch, some.map((one) => one.thumbnail), true);
  }
  pump();
}

// What an earlier page did not get through with.
export async function resume() {
  const batches = await outbox.kept();
  for (const batch of batches.sort((a, b) => b.made - a.made)) begin(batch, [], false);
  pump();
}

function begin(batch, thumbnails, fresh) {
  const job = {
    job_id: null, status: 'uploading', model: batch.model, params: batch.params, total: batch.files.length, counts: {}, progress: 0,
    cost_usd: 0, estimated_cost_usd: null, waiting_for: null, rejected: [], created_at: new Date(batch.made).toISOString(),
    heard: 0, images: null, upload: { batch, error: null, request: null },
  };
  job.images = batch.files.map((file, index) =>
    jobs.picture(job, { index, filename: file.name, size: file.size, thumbnail: thumbnails[index] || null }));
  for (const [index, one] of job.images.entries()) if (!one.thumbnail) drawn(one, batch.files[index]);
  jobs.addLocal(job);
  waiting.unshift({ job, fresh });
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
  form.append('model', batch.model);
  if (Object.keys(batch.params).length) form.append('params', JSON.stringify(batch.params));
  for (const [name, text] of own(batch)) form.append(name, text);
  if (batch.maxCost) form.append('max_cost_usd', batch.maxCost.toFixed(6));
  form.append('on_invalid', 'skip');
  for (const file of batch.files) form.append('files', file, file.name);
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

// The fields with the caller's own data, where there is any; a batch that an older page kept has none.
function own({ metadata = {}, own: pictures = [] }) {
  const files = pictures.map((one, part) => ({ part, metadata: one })).filter((entry) => Object.keys(entry.metadata).length);
  return [
    ...(Object.keys(metadata).length ? [['metadata', JSON.stringify(metadata)]] : []),
    ...(files.length ? [['manifest', JSON.stringify({ files })]] : []),
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

function taken(job, document) {
  jobs.accepted(job, document);
  fetchJob(job.job_id); // events may have come before the answer, which is then old
}

async function refuse(job, error) {
  job.upload.error = error.message;
  job.upload.passing = false;
  job.upload.request = null;
  job.status = 'refused';
  const faults = error instanceof ApiError ? error.errors : [];
  for (const one of job.images) {
    const fault = faults.find((found) => found.file === one.filename);
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
