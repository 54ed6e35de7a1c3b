// The service, by the client that other programs use too: see ../../client. The session's cookie does without a key.

import { Client } from '../client/client.js';

export { ProblemError } from '../client/errors.js';

export const BASE = '/api/v1';

// A view says at once what failed; uploads and events have a patience of their own.
export const client = new Client({ url: location.origin, patience: 0, onResponse: answered });

export const get = (path) => client.request('GET', path);
export const post = (path, json = {}) => client.request('POST', path, { json });

const listeners = new Set();
export const onUnauthenticated = (listener) => listeners.add(listener);

// Nobody is signed in any more, as an answer or another tab's connection said.
export function unauthenticated() {
  for (const listener of listeners) listener();
}

function answered({ status, headers }) {
  noteClock(Date.parse(headers.get('Date') || ''));
  if (status === 401) unauthenticated();
}

// The server's clock, for times that are counted from its stamps.
let ahead = 0;

function noteClock(stamp) {
  if (Number.isFinite(stamp) && Math.abs(stamp - Date.now()) > 2000) ahead = stamp - Date.now();
}

export const now = () => Date.now() + ahead;
