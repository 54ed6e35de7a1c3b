// Fetches what the page does not know yet: the list of jobs page by page, and a job's pictures when they
// are about to be seen.

import { client } from './api.js';
import * as jobs from './jobs.js';

const PAGE = 50;
const AT_ONCE = 3;
const AGAIN_MS = 3000;
let cursor = null;
let running = 0;
const waiting = [];
const underWay = new Map();
export const older = () => cursor !== null;

export async function firstPage() {
  const asked = jobs.tick();
  const page = await client.jobPage({ limit: PAGE });
  for (const head of page.jobs) jobs.put(head, asked);
  cursor = page.next_cursor;
  jobs.changed({ list: true });
  return page.jobs;
}

export async function nextPage() {
  const asked = jobs.tick();
  const page = await client.jobPage({ limit: PAGE, cursor });
  for (const head of page.jobs) jobs.put(head, asked);
  cursor = page.next_cursor;
  jobs.changed({ list: true });
}

// The jobs with this metadata, however far back they are.
export async function find(metadata) {
  const asked = jobs.tick();
  const page = await client.jobPage({ limit: PAGE, metadata });
  for (const head of page.jobs) jobs.put(head, asked);
}

// After a time without a connection: what is new, what ended, what was deleted elsewhere.
export async function refresh() {
  const before = jobs.all().filter((job) => job.job_id);
  const heads = await firstPage();
  const oldest = heads.at(-1)?.created_at || '';
  const present = new Set(heads.map((head) => head.job_id));
  for (const job of before) {
    const gone = !present.has(job.job_id) && (!cursor || job.created_at > oldest);
    if (gone) jobs.remove(job);
    else if (job.images) fetchJob(job.job_id);
  }
}

// A job's pictures, unless they are there.
export function want(job) {
  if (job && job.job_id && job.images === null) fetchJob(job.job_id);
}

// One request at a time for each job, so that an old answer never follows a new one. What asks meanwhile
// wants newer news, and causes one more.
export function fetchJob(jobId) {
  if (underWay.has(jobId)) underWay.set(jobId, true);
  else begin(jobId);
}

async function begin(jobId) {
  underWay.set(jobId, false);
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  running += 1;
  underWay.set(jobId, false);
  const again = await read(jobId);
  running -= 1;
  waiting.shift()?.();
  const asked = underWay.get(jobId);
  underWay.delete(jobId);
  if (asked) begin(jobId);
  else if (again) setTimeout(() => fetchJob(jobId), AGAIN_MS);
}

// True where it must be tried again.
async function read(jobId) {
  const asked = jobs.tick();
  try {
    jobs.put(await client.job(jobId), asked);
    return false;
  } catch (error) {
    if (error.status === 404 || error.status === 410) removed(jobId);
    return ![401, 404, 410].includes(error.status);
  }
}

function removed(jobId) {
  const job = jobs.find(jobId);
  if (job) jobs.remove(job);
}
