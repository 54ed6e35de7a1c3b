// The form of an upload or a quote: fields, and pictures and objects as parts, as one Blob. So its size is known, and
// it can be sent any number of times.

import { ClientError } from './errors.js';

/** @import { AddressSource, ObjectSource, Picture, Source, View } from './documents.js' */

/**
 * Throws a `ClientError` for names that would make one object of two.
 *
 * @param {Iterable<Source>} sources each becomes one model
 * @param {readonly string[]} models
 * @param {object} options the other fields; `undefined` and `false` say nothing
 */
export function form(sources, models, options) {
  const all = [...sources];
  checkNames(all);
  const fields = models.map((model) => ['model', model]);
  for (const [name, value] of Object.entries(options)) {
    const text = fieldText(name, value);
    if (text !== null) fields.push([name, text]);
  }
  const said = manifest(all);
  if (said) fields.push(['manifest', said]);
  return multipart(fields, all.flatMap(partsOf));
}

/**
 * A field's text as the form has it; null where it says nothing.
 *
 * @param {string} name
 * @param {unknown} value
 */
export function fieldText(name, value) {
  if (name === 'params_strict') return value === false || value === 'false' ? 'false' : null;
  if (name === 'max_cost_usd' && typeof value === 'number') return dollars(value);
  if (value === undefined || value === null || value === false) return null;
  if (typeof value === 'object') return Object.keys(value).length ? JSON.stringify(value) : null;
  return String(value);
}

/** Micro-dollars are the smallest that counts; a limit is rounded down. @param {number} amount */
const dollars = (amount) => (Math.floor(Number(`${amount}e6`) || amount * 1e6) / 1e6).toFixed(6);

/** @param {readonly string[][]} fields @param {readonly [string, Picture][]} parts */
export function multipart(fields, parts) {
  const boundary = `image2model-${randomKey()}`;
  /** @type {BlobPart[]} */
  const pieces = [];
  const head = (/** @type {string} */ rest) => pieces.push(`--${boundary}\r\nContent-Disposition: form-data; ${rest}\r\n\r\n`);
  for (const [name = '', text = ''] of fields) {
    head(`name="${escaped(name)}"`);
    pieces.push(text, '\r\n');
  }
  for (const [name, { name: filename, data }] of parts) {
    head(`name="${escaped(name)}"; filename="${escaped(filename)}"\r\nContent-Type: application/octet-stream`);
    pieces.push(/** @type {BlobPart} */ (data), '\r\n');
  }
  pieces.push(`--${boundary}--\r\n`);
  return { body: new Blob(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

/** 128 random bits. `randomUUID` is only there on https and loopback. */
export const randomKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @param {string} name */
const escaped = (name) => name.replace(/"/g, '%22').replace(/\r/g, '%0D').replace(/\n/g, '%0A');

/** @param {Source} source @returns {source is ObjectSource} */
export const isObject = (source) => 'views' in source;

/** @param {Picture | AddressSource | Blob} picture no address @returns {Picture} */
export const pictureOf = (picture) =>
  picture instanceof Blob ? { name: /** @type {File} */ (picture).name || 'image', data: picture } : /** @type {Picture} */ (picture);

/**
 * Throws a `ClientError` for names of objects that would make one of two.
 *
 * @param {readonly Source[]} sources
 */
export function checkNames(sources) {
  const names = sources.filter(isObject).map(({ name }) => name);
  const wrong = names.find((name) => !/^[^[\]]{1,80}$/u.test(name));
  if (wrong !== undefined) throw new ClientError(`${JSON.stringify(wrong)} must be 1 to 80 characters without brackets.`);
  const twice = names.find((name, place) => names.indexOf(name) < place);
  if (twice !== undefined) throw new ClientError(`Two objects are named ${JSON.stringify(twice)}. Give each a name of its own.`);
}

/** @param {Source} source @returns {[string, Picture][]} */
function partsOf(source) {
  if (!isObject(source)) return [['files', pictureOf(source)]];
  return source.views.map((view) => {
    const { picture, side } = sided(view);
    return [`objects[${source.name}]${side ? `[${side}]` : ''}`, pictureOf(picture)];
  });
}

/** @param {View} view @returns {{picture: Picture | AddressSource | Blob, side?: string}} */
export const sided = (view) => ('picture' in view ? view : { picture: view });

/** What is said of single pictures, by their place among all files, and of objects. @param {Source[]} sources */
function manifest(sources) {
  const files = [];
  const objects = [];
  let part = 0;
  for (const one of sources) {
    const metadata = one instanceof Blob ? undefined : one.metadata;
    const says = metadata && Object.keys(metadata).length > 0;
    if (isObject(one)) {
      if (says) objects.push({ name: one.name, metadata });
      part += one.views.length;
    } else {
      if (says) files.push({ part, metadata });
      part += 1;
    }
  }
  const said = { ...(files.length && { files }), ...(objects.length && { objects }) };
  return Object.keys(said).length ? JSON.stringify(said) : '';
}
