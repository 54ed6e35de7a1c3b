// Fetches what the page does not know yet: the list of jobs page by page, and a job's pictures when they
// are about to be seen.

import { get } from './api.js';
import * as jobs from './jobs.js';

const PAGE = 50;
const AT_ONCE = 3;
let cursor = null;
let running = 0;
const waiting = [];
const underWay = new Map();
export const older = () => cursor !== null;

export async function firstPage() {
  const asked = jobs.tick();
  const page = await get(`/jobs?limit=${PAGE}`);
  for (const head of page.jobs) jobs.put(head, asked);
  cursor = page.next_cursor;
  jobs.changed({ list: true });
  return page.jobs;
}

export async function nextPage() {
  const asked = jobs.tick();
  const page = await get(`/jobs?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`);
  for (const head of page.jobs) jobs.put(head, asked);
  cursor = page.next_cursor;
  jobs.changed({ list: true });
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

export function fetchJob(jobId) {
  if (!underWay.has(jobId)) underWay.set(jobId, queued(jobId));
  return underWay.get(jobId);
}

async function queued(jobId) {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  running += 1;
  underWay.delete(jobId); // what is asked for from now on may want newer news
  const asked = jobs.tick();
  try {
    jobs.put(await get(`/status/${jobId}`), asked);
  } catch (error) {
    if (error.status === 404 || error.status === 410) removed(jobId);
    else if (error.status !== 401) setTimeout(() => fetchJob(jobId), 3000);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

function removed(jobId) {
  const job = jobs.find(jobId);
  if (job) jobs.remove(job);
}
