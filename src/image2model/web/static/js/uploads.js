// Sends batches: a few at once, with progress, again and again under one idempotency key until the service
// has accepted or refused them.

import { randomKey } from '../client/form.js';
import { ProblemError, client } from './api.js';
import { fetchJob } from './documents.js';
import * as health from './health.js';
import * as jobs from './jobs.js';
import * as outbox from './outbox.js';
import { thumbnail } from './thumbnails.js';

const BATCH = 25;
const LARGEST_BATCH = 1e9; // the service takes 1 GiB
const AT_ONCE = 2;
const waiting = [];
let running = 0;

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
    const batch = { key: randomKey(), models, params, fields, metadata, maxCost: share, made: made + round, objects: kept };
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
    heard: 0, images: null, upload: { batch, error: null, stop: null },
  };
  job.images = batch.objects.map((object, index) => pictureOf(job, object, index, thumbnails[index] || null));
  for (const [index, one] of job.images.entries()) if (!one.thumbnail) drawn(one, batch.objects[index].views[0].file);
  jobs.addLocal(job);
  waiting.unshift({ job, fresh });
}

function pictureOf(job, object, index, small) {
  const views = object.views.map(({ file, side }) => ({ side: side || null, filename: file.name, size: file.size }));
  return jobs.picture(job, { index, ours: true, filename: object.name, size: sizeOf(object), thumbnail: small, views });
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
  try {
    const document = await transfer(job);
    await outbox.drop(batch.key);
    taken(job, document);
  } catch (error) {
    if (job.upload) refuse(job, error); // else it was removed meanwhile
  }
}

function transfer(job) {
  const { batch } = job.upload;
  const { models, params, fields, metadata, maxCost } = batch;
  const [model, ...others] = models;
  const options = {
    ...Object.fromEntries(fields), metadata, on_invalid: 'skip', ...(maxCost && { max_cost_usd: maxCost }),
    params: others.length && Object.keys(params).length ? { [model]: params } : params,
  };
  job.upload.stop = new AbortController();
  const call = {
    idempotencyKey: batch.key, patience: Infinity, signal: job.upload.stop.signal,
    onProgress: ({ loaded, total }) => progress(job, loaded / total),
    onRetry: (error) => passing(job, error),
  };
  const sources = batch.objects.map(sourceOf);
  return others.length ? client.compare(sources, models, options, call) : client.upload(sources, { model, ...options }, call);
}

function sourceOf({ name, grouped, metadata, views }) {
  if (!grouped) return { name: views[0].file.name, data: views[0].file, metadata };
  return { name, metadata, views: views.map(({ file, side }) => ({ picture: file, side })) };
}

function passing(job, error) {
  if (error.code === 'store_unavailable') health.refused();
  job.upload.error = `${error.message} Trying again by itself.`;
  job.upload.passing = true;
  jobs.changed({ job });
}

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
  job.status = 'refused';
  const faults = error instanceof ProblemError ? error.errors : [];
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
  const { batch, stop } = job.upload;
  job.upload = null;
  stop?.abort();
  outbox.drop(batch.key);
  jobs.remove(job);
}
