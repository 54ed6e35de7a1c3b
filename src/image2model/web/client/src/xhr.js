// Uploads by XMLHttpRequest: browsers tell the progress of an upload by nothing else.

import { Unreachable } from './errors.js';

/**
 * @param {string} url
 * @param {RequestInit & {signal: AbortSignal, headers: Record<string, string>}} request
 * @param {import('./documents.js').OnProgress} onProgress
 * @returns {Promise<Response>}
 */
export function sendByXhr(url, { method = 'POST', headers, body, signal }, onProgress) {
  return new Promise((done, fail) => {
    if (signal.aborted) return fail(signal.reason);
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onProgress({ loaded, total });
    request.onload = () => done(new Response(request.response || null, { status: request.status, headers: headersOf(request) }));
    request.onerror = () => fail(new Unreachable('The service cannot be reached.'));
    request.onabort = () => fail(signal.reason);
    request.onloadend = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort);
    request.send(/** @type {Blob} */ (body));
    return undefined;
  });
}

/** @param {XMLHttpRequest} request */
function headersOf(request) {
  const headers = new Headers();
  for (const line of request.getAllResponseHeaders().trim().split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}
