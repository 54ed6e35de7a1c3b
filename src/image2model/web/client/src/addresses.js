// Pictures by address in an upload, which then goes as JSON; pictures beside them go in base64.

import { checkNames, fieldText, isObject, pictureOf, sided } from './form.js';

/** @import { AddressSource, Picture, Source } from './documents.js' */

const PIECE = 3 * 8192; // bytes of base64 without padding, few enough for the arguments of one call

/** Whether one of them, or a view of one, is an address. @param {readonly Source[]} sources */
export const hasAddresses = (sources) =>
  sources.some((one) => isAddress(one) || (isObject(one) && one.views.some((view) => isAddress(sided(view).picture))));

/**
 * The text of a request that says what `form` would say. Throws a `ClientError` as it does.
 *
 * @param {readonly Source[]} sources
 * @param {readonly string[]} models
 * @param {object} options
 */
export async function jsonRequest(sources, models, options) {
  checkNames(sources);
  const images = [];
  const objects = [];
  for (const one of sources) {
    if (isObject(one)) objects.push({ name: one.name, views: await Promise.all(one.views.map(viewOf)), ...metadataOf(one) });
    else images.push({ ...(await pictureFields(one)), ...metadataOf(one) });
  }
  const fields = Object.entries(options).map(([name, value]) => [name, fieldText(name, value)]);
  return JSON.stringify({ images, objects, model: models, ...Object.fromEntries(fields.filter(([, text]) => text !== null)) });
}

/** @param {import('./documents.js').View} view */
async function viewOf(view) {
  const { picture, side } = sided(view);
  return { ...(await pictureFields(picture)), ...(side && { side }) };
}

/** @param {Picture | AddressSource | Blob} source */
async function pictureFields(source) {
  if (isAddress(source)) return { url: source.url, ...(source.name && { filename: source.name }) };
  const { name, data } = pictureOf(source);
  return { data: await base64(new Blob([/** @type {BlobPart} */ (data)])), filename: name };
}

/** @param {Source} source */
function metadataOf(source) {
  const metadata = source instanceof Blob ? undefined : source.metadata;
  return metadata && Object.keys(metadata).length ? { metadata } : {};
}

/** @param {Blob} blob */
async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE) text += btoa(String.fromCharCode(...bytes.subarray(at, at + PIECE)));
  return text;
}

/** @param {object} source @returns {source is AddressSource} */
const isAddress = (source) => !(source instanceof Blob) && 'url' in source;
