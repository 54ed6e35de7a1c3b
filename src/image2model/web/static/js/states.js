// The states of pictures, in plain words.

import { now } from './api.js';
import { plural, seconds } from './format.js';
import { expected } from './expected.js';

export const FINISHED = new Set(['succeeded', 'failed', 'cancelled', 'rejected']);
const MOVING = new Set(['uploading', 'preparing', 'generating', 'storing']);

const WAITS = {
  limit: 'Waiting: as many as allowed are running',
  turn: 'Waiting for its turn',
  account: 'Waiting: FAL refuses the account',
  fal: 'Waiting: FAL is down',
  endpoint: 'Waiting: FAL does not take this model',
  paused: 'Waiting: the queue is paused',
  fetch: 'Waiting for its picture',
  confirmation: 'Waiting for you: look at the prepared picture',
};

// For a whole batch, with what comes next.
export const WHY = {
  limit: 'As many pictures as allowed are being generated. These go on by themselves when their turn comes.',
  turn: 'FAL generates as many at once as this account may. These go on by themselves when their turn comes.',
  account: 'FAL refuses the account: its key is not valid, or its balance is used up. Nothing is lost; it goes on by itself once that is mended.',
  fal: 'FAL is down. Nothing is lost; it goes on by itself when FAL answers again.',
  endpoint: 'FAL refuses this model just now, or fails at it. Nothing is lost: one picture tries from time to time, and the others follow. Other models go on.',
  confirmation: 'The prepared pictures wait for you for 24 hours. Nothing is paid for those that you leave out, except for what has prepared them.',
  fetch: 'The service fetches these pictures from their addresses.',
  paused: 'An administrator has paused the queue. It goes on when they resume it.',
};

export const isFinished = (picture) => FINISHED.has(picture.status);
export const isMoving = (picture) => MOVING.has(picture.status);

export function words(picture) {
  const say = WORDS[picture.status];
  return say ? say(picture) : picture.status;
}

const WORDS = {
  waiting: () => 'Waiting to upload',
  uploading: (picture) => (picture.sent < 1 ? `Uploading ${Math.round(picture.sent * 100)} %` : 'Uploaded, being checked'),
  rejected: (picture) => picture.error?.message || 'Refused',
  queued: (picture) => WAITS[picture.waiting_for || picture.job.waiting_for] || 'Queued',
  preparing: () => 'Preparing',
  submitted: (picture) => ['In FAL’s queue', ...times(picture)].join(' · '),
  generating: (picture) => ['Generating', ...times(picture)].join(' · '),
  storing: (picture) => ['Saving the model', ...times(picture)].join(' · '),
  succeeded: done,
  failed: (picture) => picture.error?.message || 'Failed',
  cancelled: () => 'Cancelled',
};

// FAL's own count of those before it, as people count.
export function place(picture) {
  const position = picture.queue_position;
  if (picture.status !== 'submitted' || position === null || position === undefined) return '';
  return position > 0 ? `Place ${position}` : 'Next';
}

function times(picture) {
  if (picture.job.cancel_requested) return ['asked to stop'];
  if (!picture.started_at) return [];
  const spent = (now() - Date.parse(picture.started_at)) / 1000;
  const usual = expected(picture.job.model);
  return [usual === null ? seconds(spent) : `${seconds(spent)} of ~${seconds(usual)}`];
}

function done(picture) {
  const warned = (picture.warnings?.length || 0) + (picture.result?.warnings?.length || 0);
  return made(picture) + (warned ? ` · ${plural(warned, 'warning')}` : '');
}

function made(picture) {
  if (picture.cached) return 'Done · reused, free';
  const spent = picture.started_at && picture.finished_at ? Date.parse(picture.finished_at) - Date.parse(picture.started_at) : null;
  return spent === null ? 'Done' : `Done in ${seconds(Math.max(1, spent / 1000))}`;
}
