// All jobs that the page knows, and who wants to hear of changes. The one place where state is kept.
//
// A job is made when its pictures are sent (then `job_id` is null) or heard of; it stays the same object
// for its life, as do its pictures, so that views can hold on to them.

const jobs = [];
const byId = new Map();
const gone = new Set();
const listeners = new Set();
let dirty = { list: false, jobs: new Set(), pictures: new Set() };
let due = false;
let clock = 0;

export const all = () => jobs;
export const find = (jobId) => byId.get(jobId);
export const onChange = (listener) => listeners.add(listener);
export const tick = () => clock;

export function changed({ job, picture, list } = {}) {
  if (job) dirty.jobs.add(job);
  if (picture) dirty.pictures.add(picture);
  if (list) dirty.list = true;
  if (due) return;
  due = true;
  const later = document.hidden ? (flush) => setTimeout(flush, 250) : requestAnimationFrame;
  later(flush);
}

function flush() {
  const told = dirty;
  dirty = { list: false, jobs: new Set(), pictures: new Set() };
  due = false;
  for (const listener of listeners) listener(told);
}

// A job of our own whose pictures are on their way.
export function addLocal(job) {
  jobs.unshift(job);
  changed({ job, list: true });
  return job;
}

// `ours` is in the fields of one that this page sends.
export function picture(job, fields) {
  return { job, image_id: null, status: 'waiting', sent: 0, thumbnail: null, heard: 0, ...fields };
}

// The answer to an upload: the job that was local so far gets its name.
export function accepted(job, document) {
  const earlier = byId.get(document.job_id);
  if (earlier && earlier !== job) remove(earlier); // an event was faster than the answer
  job.job_id = document.job_id;
  job.upload = null;
  byId.set(job.job_id, job);
  const waiting = [...job.images];
  const images = document.images.map((image) => adopt(job, waiting, image));
  job.images = images;
  Object.assign(job, headOf(document));
  for (const image of images) {
    const known = earlier?.images?.find((one) => one.image_id === image.image_id);
    if (known) Object.assign(image, { ...known, job, thumbnail: image.thumbnail });
    changed({ picture: image });
  }
  if (earlier) Object.assign(job, headOf(earlier));
  changed({ job, list: true });
}

function adopt(job, waiting, image) {
  const place = waiting.findIndex((one) => one.filename === image.filename && one.size === image.size);
  const found = place < 0 ? picture(job, {}) : waiting.splice(place, 1)[0];
  return Object.assign(found, image);
}

function headOf(document) {
  const { images: _, upload: __, ...head } = document;
  return head;
}

// A job's document, with or without images. `asked` is the clock when it was asked for: what was heard of a
// picture since then is newer than the document.
export function put(document, asked = Infinity) {
  if (gone.has(document.job_id)) return null;
  const known = byId.get(document.job_id);
  const job = known || { images: null, heard: 0, upload: null };
  if (!known || (job.heard <= asked && !(job.updated_at > document.updated_at))) Object.assign(job, headOf(document));
  if (document.images) putImages(job, document.images, asked);
  if (!known) insert(job);
  changed({ job, list: !known });
  return job;
}

function insert(job) {
  byId.set(job.job_id, job);
  const place = jobs.findIndex((one) => one.job_id && one.created_at < job.created_at);
  jobs.splice(place < 0 ? jobs.length : place, 0, job);
}

function putImages(job, images, asked) {
  const known = new Map((job.images || []).map((one) => [one.image_id, one]));
  job.images = images.map((image) => {
    const found = known.get(image.image_id) || picture(job, {});
    if (found.heard <= asked) Object.assign(found, image);
    changed({ picture: found });
    return found;
  });
}

// One `image` event. False where the job, or its pictures, must be asked for.
export function heard(event) {
  if (gone.has(event.job_id)) return true;
  const job = byId.get(event.job_id);
  if (!job) return false;
  const { image, ...head } = event;
  Object.assign(job, head, { heard: ++clock });
  changed({ job });
  const found = job.images?.find((one) => one.image_id === image.image_id);
  if (found) {
    Object.assign(found, image, { heard: clock });
    changed({ picture: found });
  }
  return Boolean(found) || job.images === null;
}

export function remove(job) {
  const place = jobs.indexOf(job);
  if (place >= 0) jobs.splice(place, 1);
  if (byId.get(job.job_id) === job) byId.delete(job.job_id);
  changed({ list: true });
}

// Deleted for good: late events of it are not heard.
export function forget(job) {
  if (job.job_id) gone.add(job.job_id);
  remove(job);
}

export function clear() {
  for (const job of [...jobs]) remove(job);
}
