// Warnings about pictures that will hardly become a good model, before they are sent. The service measures small
// copies that are made here. They are advice: without it everything works.

import { client } from './api.js';
import { takesOne } from './fits.js';
import { models } from './models.js';

const EDGE = 1280; // the service looks at no larger copy
const AFTER_MS = 400;
const AT_ONCE = 25;
let waiting = [];
let timer = 0;

// `told(warnings)` for a file: each `{code, message}`; never called where the service says nothing.
export function ask(file, told) {
  waiting.push({ file, told });
  clearTimeout(timer);
  timer = setTimeout(next, AFTER_MS);
}

// What was sent needs no advice any more.
export function forget() {
  waiting = [];
}

async function next() {
  const model = models().find((one) => !one.needs && takesOne(one));
  const some = waiting.slice(0, AT_ONCE);
  if (!model || !some.length) return;
  waiting = waiting.slice(AT_ONCE);
  try {
    const copies = await Promise.all(some.map(({ file }) => small(file)));
    const pictures = some.map(({ file }, index) => ({ name: file.name, data: copies[index] }));
    const quote = await client.quote(pictures, { model: model.id });
    for (const [index, { file, told }] of some.entries()) tell(quote.images[index]?.warnings || [], copies[index] !== file, told);
  } catch {
    return; // the upload says what is wrong with the service or with the files
  }
  next();
}

// How many pixels an object has cannot be told from a copy.
function tell(warnings, scaled, told) {
  const found = warnings.filter(({ code }) => !(scaled && code === 'tiny'));
  if (found.length) told(found);
}

// A file that this browser cannot read goes as it is.
async function small(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = EDGE / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return file;
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
    canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await canvas.convertToBlob({ type: 'image/webp', quality: 0.9 });
  } catch {
    return file;
  }
}
