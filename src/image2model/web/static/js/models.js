// The models on offer. The one place that knows the shape of `/models`.

import { get } from './api.js';

let offered = [];
let standard = '';

export async function load() {
  const answer = await get('/models');
  offered = answer.models.map(read);
  standard = answer.default;
  return offered;
}

function read(one) {
  const schema = one.params || {};
  return {
    id: one.id,
    title: one.title || one.id,
    price: one.price_usd,
    note: one.price_note || '',
    down: Boolean(one.fal?.status && !['active', 'ACTIVE'].includes(one.fal.status)) ? one.fal.status : '',
    properties: schema.properties || {},
    required: new Set(schema.required || []),
  };
}

export const models = () => offered;
export const standardModel = () => standard;
export const modelOf = (id) => offered.find((one) => one.id === id) || null;
export const titleOf = (id) => modelOf(id)?.title || id;
