// What a person can do to a batch: cancel, run failures again, delete (with a way back), abandon.

import { BASE, call, post } from './api.js';
import * as jobs from './jobs.js';
import { failed, toast } from './toasts.js';

const UNDO_MS = 7000;
const leaving = new Map();

async function run(job, path, body) {
  const asked = jobs.tick(); // what is heard while the answer is on its way is newer than the answer
  try {
    jobs.put(await post(`/jobs/${job.job_id}${path}`, body), asked);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export const cancel = (job) => run(job, '/cancel');
export const retry = (job, pictures = null, params = null) =>
  run(job, '/retry', { ...(pictures && { image_ids: pictures.map((one) => one.image_id) }), ...(params && { params }) });

export const confirm = (picture, accept) => run(picture.job, `/images/${picture.image_id}/confirm`, { accept });

export async function refreshFiles(picture) {
  if (await run(picture.job, `/images/${picture.image_id}/files/refresh`)) {
    toast('FAL is asked for the missing files. What it still has appears here by itself; a warning that stays was not fetched.');
  }
}

// It is gone from the page at once, from the service when the time to take it back is over.
export function remove(job) {
  job.hidden = true;
  jobs.changed({ job, list: true });
  const end = toast(`Batch of ${job.total} deleted.`, {
    life: UNDO_MS,
    undo: { label: 'Undo', run: () => back(job) },
    ended: () => erase(job),
  });
  leaving.set(job, end);
}

function back(job) {
  leaving.delete(job);
  job.hidden = false;
  jobs.changed({ job, list: true });
}

async function erase(job) {
  if (!leaving.delete(job)) return;
  jobs.forget(job);
  try {
    await call('DELETE', `/jobs/${job.job_id}`);
  } catch (error) {
    if (error.status !== 404) failed(error);
  }
}

// A page that is closed cannot be undone any more.
window.addEventListener('pagehide', () => {
  for (const job of leaving.keys()) fetch(`${BASE}/jobs/${job.job_id}`, { method: 'DELETE', keepalive: true });
  leaving.clear();
});
