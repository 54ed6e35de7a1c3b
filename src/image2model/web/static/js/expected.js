// How long a picture usually takes: the median of the recent runs that the page has seen, by model.

import * as jobs from './jobs.js';

const MOST = 50;
let known = new Map();

export function expected(model) {
  return known.get(model) ?? null;
}

export function start() {
  jobs.onChange(({ pictures }) => {
    for (const picture of pictures) if (picture.status === 'succeeded') return reckon();
    return undefined;
  });
}

function reckon() {
  const seen = new Map();
  for (const job of jobs.all()) for (const picture of job.images || []) note(seen, job.model, picture);
  known = new Map([...seen].map(([model, spans]) => [model, median(spans)]));
}

function note(seen, model, picture) {
  if (picture.status !== 'succeeded' || picture.cached || !picture.started_at) return;
  const spans = seen.get(model) || [];
  seen.set(model, spans);
  if (spans.length < MOST) spans.push((Date.parse(picture.finished_at) - Date.parse(picture.started_at)) / 1000);
}

function median(spans) {
  const sorted = spans.sort((a, b) => a - b);
  return Math.max(1, sorted[Math.floor(sorted.length / 2)]);
}
