// What one picture costs with given parameters. The service knows; it is asked with a tiny picture of ours,
// because the price does not depend on what is in it.

import { client } from './api.js';
import { smallest } from './fits.js';

const known = new Map();
let probe = null;

// `{usd, note, limit, preparation}`; `usd` is null where only the run tells, and with `limit` the upload must name the
// most that it may cost. `preparation`: what removing one background costs, null where it is not known.
// `warnings` are the service's words.
export async function priceOf(model, params, { removesBackground, variants }) {
  const several = variants > 1;
  if (!Object.keys(params).length && model.price !== null && !removesBackground && !several) return { usd: model.price, note: model.note, limit: false, preparation: 0, warnings: [] };
  const question = JSON.stringify([model.id, params, model.price, model.note, removesBackground, several]);
  if (!known.has(question)) known.set(question, await ask(model, params, removesBackground, several));
  return known.get(question);
}

async function ask(model, params, removesBackground, several) {
  probe ??= { name: 'price.png', data: await blank() };
  const sides = smallest(model);
  const source = sides.length > 1 ? { name: 'price', views: sides.map((side) => ({ picture: probe, side })) } : probe;
  const options = { model: model.id, params, remove_background: removesBackground, ...(several && { variants: 2 }) };
  const quote = await client.quote([source], options);
  const preparation = quote.preparation_cost_usd_each;
  return { usd: quote.cost_usd_each, note: quote.price_note, limit: quote.refusal?.code === 'price_unknown', preparation: preparation === undefined ? 0 : preparation, warnings: (quote.warnings || []).map(({ message }) => `${model.title}: ${message}`) };
}

function blank() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
  canvas.getContext('2d').fillRect(16, 16, 32, 32);
  return new Promise((done) => canvas.toBlob(done, 'image/png'));
}

// One price of several models together: unknown where one is.
export function together(prices) {
  const unknown = prices.find((one) => one.usd === null || one.usd === undefined);
  return {
    usd: unknown ? null : prices.reduce((sum, one) => sum + one.usd, 0),
    note: (unknown || prices[0]).note,
    limit: prices.some((one) => one.limit),
    preparation: prices[0].preparation,
    warnings: prices.flatMap((one) => one.warnings),
  };
}
