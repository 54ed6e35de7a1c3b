// The models on offer. The one place that knows the shape of `/models`.

import { client } from './api.js';

const EVERY_MS = 5000;
let offered = [];
let standard = '';
let seen = '';
let asked = 0;

// Whether the list differs from what was there. The browser sends its ETag: an unchanged list does not travel.
export async function load() {
  asked = Date.now();
  const answer = await client.models();
  const found = JSON.stringify(answer.models);
  standard = answer.default;
  if (found === seen) return false;
  seen = found;
  offered = answer.models.map(read);
  return true;
}

// The same, unless it was asked for a moment ago.
export async function refresh() {
  return Date.now() - asked > EVERY_MS && load();
}

function read(one) {
  const schema = withoutPictures(one.params || {}, one.inputs || []);
  return {
    id: one.id,
    title: one.title || one.id,
    maker: makerOf(one.id),
    price: one.price_usd,
    note: one.price_note || '',
    license: one.license || '',
    needs: one.available === false ? one.needs || 'takes no picture' : '',
    down: Boolean(one.fal?.status && !['active', 'ACTIVE'].includes(one.fal.status)) ? one.fal.status : '',
    properties: schema.properties || {},
    required: new Set(schema.required || []),
    inputs: one.inputs || [],
    takesModel: one.takes_model === true,
    schema: JSON.stringify(schema),
  };
}

// The addresses of pictures and models are parameters too, for those who have no files; here the files fill them.
function withoutPictures(schema, inputs) {
  const filled = new Set(inputs.filter(({ role }) => ['picture', 'side', 'views', 'model'].includes(role)).map(({ name }) => name));
  const properties = Object.entries(schema.properties || {}).filter(([name]) => !filled.has(name));
  return { ...schema, properties: Object.fromEntries(properties) };
}

// FAL's own ids begin with `fal-ai/`; then the family's name says who made it.
function makerOf(id) {
  const parts = id.split('/');
  const name = (parts[0] === 'fal-ai' && parts[1] ? parts[1] : parts[0]).match(/^[a-z]+/i)?.[0] || id;
  return `${name[0].toUpperCase()}${name.slice(1)}`;
}

export const models = () => offered;
export const secondSteps = () => offered.filter((one) => one.takesModel);
export const standardModel = () => (modelOf(standard) ? standard : offered.find((one) => !one.needs)?.id || '');
export const modelOf = (id) => offered.find((one) => one.id === id) || null;
export const titleOf = (id) => modelOf(id)?.title || id;
