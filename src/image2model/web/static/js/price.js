// What one picture costs with given parameters. The service knows; it is asked with a tiny picture of ours,
// because the price does not depend on what is in it.

import { call } from './api.js';
import { smallest } from './fits.js';
import { partOf } from './objects.js';

const known = new Map();
let probe = null;

// `{usd, note, limit}`; `usd` is null where only the run tells, and with `limit` the upload must name the most that
// it may cost.
export async function priceOf(model, params) {
  if (!Object.keys(params).length && model.price !== null) return { usd: model.price, note: model.note, limit: false };
  const question = JSON.stringify([model.id, params, model.price, model.note]);
  if (!known.has(question)) known.set(question, await ask(model, params));
  return known.get(question);
}

async function ask(model, params) {
  const form = new FormData();
  form.append('model', model.id);
  form.append('params', JSON.stringify(params));
  probe ??= await blank();
  const sides = smallest(model);
  for (const side of sides) form.append(sides.length > 1 ? partOf('price', side) : 'files', probe, 'price.png');
  const quote = await call('POST', '/quote', { form });
  return { usd: quote.cost_usd_each, note: quote.price_note, limit: quote.refusal?.code === 'price_unknown' };
}

function blank() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
  canvas.getContext('2d').fillRect(16, 16, 32, 32);
  return new Promise((done) => canvas.toBlob(done, 'image/png'));
}
