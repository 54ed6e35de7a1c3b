// What a person can do to a batch: cancel, run failures again, delete (with a way back), abandon.

import { BASE, client } from './api.js';
import * as jobs from './jobs.js';
import { failed, toast } from './toasts.js';

const leaving = new Map();

async function run(act) {
  const asked = jobs.tick(); // what is heard while the answer is on its way is newer than the answer
  try {
    jobs.put(await act, asked);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export const cancel = (job) => run(client.cancel(job.job_id));
export const retry = (job, pictures = null, params = null) =>
  run(client.retry(job.job_id, { ...(pictures && { image_ids: pictures.map((one) => one.image_id) }), ...(params && { params }) }));

export const confirm = (picture, accept) => run(client.confirm(picture.job.job_id, picture.image_id, { accept }));

export async function refreshFiles(picture) {
  if (await run(client.refreshFiles(picture.job.job_id, picture.image_id))) {
    toast('FAL is asked for the missing files. What it still has appears here by itself; a warning that stays was not fetched.');
  }
}

// It is gone from the page at once, from the service when the time to take it back is over.
export function remove(job) {
  job.hidden = true;
  jobs.changed({ job, list: true });
  const end = toast(`Batch of ${job.total} deleted.`, {
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
    await client.delete(job.job_id);
  } catch (error) {
    failed(error);
  }
}

// A page that is closed cannot be undone any more.
window.addEventListener('pagehide', () => {
  for (const job of leaving.keys()) fetch(`${BASE}/jobs/${job.job_id}`, { method: 'DELETE', keepalive: true });
  leaving.clear();
});
