// Speaks HTTP to the API. Every refusal becomes an ApiError with the API's own words.

export const BASE = '/api/v1';
const DEADLINE_MS = 30_000;

export class ApiError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(problem.detail || problem.title || `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code || '';
    this.errors = problem.errors || [];
    this.retryAfter = retryAfter;
  }
}

// The service cannot be reached: nothing is known of what became of the request.
export class Unreachable extends Error {
  constructor() {
    super('The service cannot be reached.');
  }
}

const listeners = new Set();
export const onUnauthenticated = (listener) => listeners.add(listener);

export function refused(status, text, retryAfter) {
  const error = new ApiError(status, parsed(text), retryAfter ? Number(retryAfter) : null);
  if (status === 401) for (const listener of listeners) listener();
  return error;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {}; // a proxy's page, not one of our documents
  }
}

// `json` is sent as JSON, `form` as multipart, `key` as idempotency key; the answer's document comes back, null for 204.
export async function call(method, path, { json, form, key, quiet = false } = {}) {
  const options = { method, credentials: 'same-origin', headers: {}, signal: AbortSignal.timeout(DEADLINE_MS) };
  if (key) options.headers['Idempotency-Key'] = key;
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers['Content-Type'] = 'application/json';
  }
  if (form) options.body = form;
  let answer;
  try {
    answer = await fetch(BASE + path, options);
  } catch {
    throw new Unreachable();
  }
  noteClock(answer);
  if (!answer.ok && !(quiet && answer.status === 503)) {
    throw refused(answer.status, await answer.text(), answer.headers.get('Retry-After'));
  }
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, options) => call('GET', path, options);
export const post = (path, json = {}) => call('POST', path, { json });

// The server's clock, for times that are counted from its stamps.
let ahead = 0;

function noteClock(answer) {
  const stamp = Date.parse(answer.headers.get('Date') || '');
  if (Number.isFinite(stamp) && Math.abs(stamp - Date.now()) > 2000) ahead = stamp - Date.now();
}

export const now = () => Date.now() + ahead;
