// The client: one object for one service. It has no dependencies, and uses nothing but what browsers, Node, Deno and
// Bun have in common.

import { hasAddresses, jsonRequest } from './addresses.js';
import { ClientError } from './errors.js';
import { follow, jobEvent, ownerEvent } from './follow.js';
import { fieldText, form, multipart, pictureOf, randomKey } from './form.js';
import { Transport } from './transport.js';

/**
 * @import {
 *   Call, CallOptions, ClientOptions, Comparison, ComparisonQuote, Downloads, Event, FollowOptions, Job, JobEvent,
 *   JobFilter, JobHead, JobPage, Model, ModelList, PaidOptions, Quote, QuoteOptions, Source, StepOptions, UploadOptions
 * } from './documents.js'
 */

const IDLE_MS = 60_000;
const path = (/** @type {string[]} */ ...parts) => parts.map((part) => `/${encodeURIComponent(part)}`).join('');

/**
 * Every method rejects with a `ProblemError` where the service refuses, with `Unreachable` where no answer came within
 * the client's patience, and with the signal's reason where its `signal` was aborted.
 */
export class Client {
  /** @param {ClientOptions} options */
  constructor(options) {
    new URL(options.url); // throws now, not at each call
    this.transport = new Transport(options);
    new Headers(this.transport.headers);
  }

  /** The service's URL, without a slash at its end. */
  get url() {
    return this.transport.url;
  }

  /**
   * Upload one batch. After a lost answer the same idempotency key finds the job: nothing is paid twice.
   *
   * @param {Iterable<Source>} sources each becomes one model
   * @param {UploadOptions} [options]
   * @param {PaidOptions} [call]
   * @returns {Promise<Job>}
   */
  async upload(sources, { model, ...options } = {}, call = {}) {
    return this.pay('/upload/batch', await bodyOf(sources, model ? [model] : [], options), call);
  }

  /**
   * Upload one batch for two or more models: a job for each, by one decision and one key.
   *
   * @param {Iterable<Source>} sources
   * @param {readonly string[]} models
   * @param {Omit<UploadOptions, 'model'>} [options]
   * @param {PaidOptions} [call]
   * @returns {Promise<Comparison>}
   */
  async compare(sources, models, options = {}, call = {}) {
    return this.pay('/upload/batch', await bodyOf(sources, several(models), options), call);
  }

  /**
   * What the same upload would cost, and what is wrong with each picture. It runs and keeps nothing.
   *
   * @param {Iterable<Source>} sources
   * @param {QuoteOptions} [options]
   * @param {CallOptions} [call]
   * @returns {Promise<Quote>}
   */
  async quote(sources, { model, ...options } = {}, call = {}) {
    return this.request('POST', '/quote', { ...call, form: await bodyOf(sources, model ? [model] : [], options), safe: true });
  }

  /**
   * What the same comparison would cost.
   *
   * @param {Iterable<Source>} sources
   * @param {readonly string[]} models
   * @param {Omit<QuoteOptions, 'model'>} [options]
   * @param {CallOptions} [call]
   * @returns {Promise<ComparisonQuote>}
   */
  async quoteComparison(sources, models, options = {}, call = {}) {
    return this.request('POST', '/quote', { ...call, form: await bodyOf(sources, several(models), options), safe: true });
  }

  /**
   * The job's document.
   *
   * @param {string} jobId
   * @param {CallOptions} [call]
   * @returns {Promise<Job>}
   */
  job(jobId, call) {
    return this.request('GET', `/status${path(jobId)}`, call);
  }

  /**
   * All jobs that the filter lets through, newest first, page by page as they are asked for.
   *
   * @param {JobFilter} [filter]
   * @param {CallOptions} [call]
   * @returns {AsyncGenerator<JobHead, void, undefined>}
   */
  async *jobs(filter = {}, call = {}) {
    let { cursor } = filter;
    do {
      const page = await this.jobPage({ ...filter, ...(cursor && { cursor }) }, call);
      yield* page.jobs;
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
  }

  /**
   * One page of them.
   *
   * @param {JobFilter} [filter]
   * @param {CallOptions} [call]
   * @returns {Promise<JobPage>}
   */
  jobPage({ metadata = {}, ...filter } = {}, call = {}) {
    const query = Object.fromEntries(Object.entries(filter).filter(([, value]) => value).map(([name, value]) => [name, String(value)]));
    for (const [name, value] of Object.entries(metadata)) query[`metadata.${name}`] = String(value);
    return this.request('GET', '/jobs', { ...call, query });
  }

  /**
   * Cancel the unfinished images. `already_finished` where there are none.
   *
   * @param {string} jobId
   * @param {CallOptions} [call]
   * @returns {Promise<Job>}
   */
  cancel(jobId, call) {
    return this.request('POST', `/jobs${path(jobId)}/cancel`, call);
  }

  /**
   * Run failed images again, all or those named: each is a new paid attempt.
   *
   * @param {string} jobId
   * @param {{image_ids?: string[], params?: Record<string, unknown>}} [body]
   * @param {CallOptions} [call]
   * @returns {Promise<Job>}
   */
  retry(jobId, body = {}, call = {}) {
    return this.request('POST', `/jobs${path(jobId)}/retry`, { ...call, json: body });
  }

  /**
   * Erase a job; running images are cancelled first. A job that is already gone is no error.
   *
   * @param {string} jobId
   * @param {CallOptions} [call]
   * @returns {Promise<void>}
   */
  async delete(jobId, call = {}) {
    await this.request('DELETE', `/jobs${path(jobId)}`, { ...call, accept: [404] });
  }

  /**
   * Run a second step on a finished image: a new job of one image. After a lost answer as in `upload`.
   *
   * @param {string} jobId
   * @param {string} imageId
   * @param {StepOptions} options
   * @param {PaidOptions} [call]
   * @returns {Promise<Job>}
   */
  derive(jobId, imageId, { picture, ...options }, call = {}) {
    const to = `/jobs${path(jobId)}/images${path(imageId)}/derive`;
    if (!picture) return this.pay(to, undefined, { ...call, json: options });
    const fields = Object.entries(options).map(([name, value]) => [name, fieldText(name, value) ?? '']);
    return this.pay(to, multipart(fields.filter(([, text]) => text), [['image', pictureOf(picture)]]), call);
  }

  /**
   * Let an image go on that waits with its prepared pictures, or (`accept: false`) cancel it.
   *
   * @param {string} jobId
   * @param {string} imageId
   * @param {{accept?: boolean}} [answer]
   * @param {CallOptions} [call]
   * @returns {Promise<Job>}
   */
  confirm(jobId, imageId, { accept = true } = {}, call = {}) {
    return this.request('POST', `/jobs${path(jobId)}/images${path(imageId)}/confirm`, { ...call, json: { accept }, safe: true });
  }

  /**
   * Fetch files again that were missing when the image succeeded: see its result's `warnings`.
   *
   * @param {string} jobId
   * @param {string} imageId
   * @param {CallOptions} [call]
   * @returns {Promise<Job>}
   */
  refreshFiles(jobId, imageId, call) {
    return this.request('POST', `/jobs${path(jobId)}/images${path(imageId)}/files/refresh`, call);
  }

  /**
   * The models on offer, with their parameters and prices; `default` names the service's choice.
   *
   * @param {CallOptions} [call]
   * @returns {Promise<ModelList>}
   */
  models(call) {
    return this.request('GET', '/models', call);
  }

  /**
   * One model on offer.
   *
   * @param {string} id such as `tripo3d/tripo/v2.5/image-to-3d`
   * @param {CallOptions} [call]
   * @returns {Promise<Model>}
   */
  model(id, call) {
    return this.request('GET', `/models${path(...id.split('/'))}`, call);
  }

  /**
   * One job's events until it is complete, each once and in order, through lost connections.
   *
   * @param {string} jobId
   * @param {FollowOptions} [options]
   * @returns {AsyncGenerator<JobEvent, void, undefined>}
   */
  follow(jobId, options = {}) {
    return follow(this.transport, `/status/stream${path(jobId)}`, jobEvent, true, options);
  }

  /**
   * The events of all the caller's jobs, without end.
   *
   * @param {FollowOptions} [options]
   * @returns {AsyncGenerator<Event, void, undefined>}
   */
  events(options = {}) {
    return follow(this.transport, '/events', ownerEvent, false, options);
  }

  /**
   * The job's document once it is finished.
   *
   * @param {string} jobId
   * @param {FollowOptions} [options]
   * @returns {Promise<Job>}
   */
  async wait(jobId, options = {}) {
    for await (const event of this.follow(jobId, options)) if (event.type === 'complete') return event.job;
    return this.job(jobId, options); // `lastEventId` was the last one
  }

  /**
   * The files of each image.
   *
   * @param {string} jobId
   * @param {CallOptions} [call]
   * @returns {Promise<Downloads>}
   */
  downloads(jobId, call) {
    return this.request('GET', `/download${path(jobId)}`, call);
  }

  /**
   * One file of an image, as an answer whose body is read as it comes. It ends early with `Unreachable`.
   *
   * @param {string} jobId
   * @param {string} imageId
   * @param {{file?: string, idle?: number} & CallOptions} [options] `file`: its kind, by default the model. `idle`:
   *   milliseconds without a byte that break it off, 60,000 by default.
   * @returns {Promise<Response>}
   */
  download(jobId, imageId, { file = 'model', ...call } = {}) {
    return this.bytes(`/download${path(jobId, imageId)}`, { file }, call);
  }

  /**
   * A ZIP of all models and `manifest.json`, as `download` gives a file.
   *
   * @param {string} jobId
   * @param {{idle?: number} & CallOptions} [options]
   * @returns {Promise<Response>}
   */
  archive(jobId, options = {}) {
    return this.bytes(`/download${path(jobId)}/archive.zip`, {}, options);
  }

  /**
   * The uploaded picture as a WebP of at most 256 px.
   *
   * @param {string} jobId
   * @param {string} imageId
   * @param {CallOptions} [options]
   * @returns {Promise<Blob>}
   */
  async thumbnail(jobId, imageId, options = {}) {
    return (await this.bytes(`/images${path(jobId, imageId)}/thumbnail`, {}, options)).blob();
  }

  /**
   * Any other call of the API.
   *
   * @param {string} method
   * @param {string} to its path below /api/v1
   * @param {Call} [call]
   * @returns {Promise<any>} the answer's document; null where it has none
   */
  request(method, to, call) {
    return this.transport.send(method, to, call);
  }

  /**
   * @private
   * @param {string} to
   * @param {Call['form']} body
   * @param {Call} call
   */
  pay(to, body, { idempotencyKey = randomKey(), ...call }) {
    return this.request('POST', to, { ...call, form: body, idempotencyKey });
  }

  /**
   * @private
   * @param {string} to
   * @param {Record<string, string>} query
   * @param {{idle?: number} & CallOptions} call
   */
  bytes(to, query, { idle = IDLE_MS, ...call }) {
    const { signal } = call;
    return this.transport.repeat({ ...call, safe: true }, () => this.transport.open(to, { query, idle, ...(signal && { signal }) }));
  }
}

/**
 * A form, or JSON where pictures come by address.
 *
 * @param {Iterable<Source>} sources
 * @param {readonly string[]} models
 * @param {object} options
 */
async function bodyOf(sources, models, options) {
  const all = [...sources];
  if (!hasAddresses(all)) return form(all, models, options);
  return { body: new Blob([await jsonRequest(all, models, options)]), type: 'application/json' };
}

/** @param {readonly string[]} models */
function several(models) {
  if (models.length < 2) throw new ClientError('A comparison needs two models or more. Use `upload` or `quote` for one.');
  return models;
}
