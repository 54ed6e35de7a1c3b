// Beside the stage: the original, the numbers, the files, and the way to try again.

import * as actions from '../actions.js';
import { BASE, client } from '../api.js';
import { button, element, icon } from '../dom.js';
import { between, bytes, moment, number, seconds, usd } from '../format.js';
import * as jobs from '../jobs.js';
import { rows } from '../metadata.js';
import { modelOf, titleOf } from '../models.js';
import { ParameterForm } from '../parameters.js';
import * as prepared from '../prepared.js';
import { sideTitle } from '../sides.js';
import { isFinished, words } from '../states.js';
import { failed } from '../toasts.js';
import * as uploads from '../uploads.js';
import * as steps from './steps.js';

const KINDS = { model: 'Model', preview: 'Preview', base: 'Base model', pbr: 'PBR model', original: 'Original picture' };

export class Details {
  // `close`: the button that closes the dialog. `sent` is called when something was set going from here.
  constructor(close, sent) {
    this.close = close;
    this.sent = sent;
    this.element = element('div', { class: 'viewer-side' });
    this.shown = '';
  }

  display(picture) {
    const seen = JSON.stringify([picture.image_id, picture.status, picture.attempt, words(picture), picture.warnings, picture.result?.warnings, cost(picture), picture.metadata, picture.job.metadata]);
    if (seen === this.shown && this.element.childElementCount) return;
    const asking = this.element.querySelector('.again');
    if (asking && this.picture === picture && isFinished(picture)) return; // somebody fills in the form
    this.shown = seen;
    this.picture = picture;
    const focused = this.element.contains(document.activeElement);
    this.element.replaceChildren(
      element('div', { class: 'viewer-head' }, element('h2', {}, picture.filename), this.close),
      ...[original(picture), preparation(picture), problem(picture), facts(picture), own(picture), files(picture), warnings(picture), steps.part(picture, this.sent), this.again(picture)].filter(Boolean),
    );
    if (focused) this.close.focus();
  }

  again(picture) {
    const { job } = picture;
    if (!job.job_id || !isFinished(picture)) return null;
    const holder = element('div', { class: 'viewer-part' });
    const begin = button(picture.status === 'failed' ? 'Try again with other parameters' : 'Generate with other parameters', {
      kind: 'button', symbol: 'retry', on: { click: () => holder.replaceChildren(this.form(picture)) },
    });
    if (picture.status === 'failed') {
      holder.append(button('Try again', { kind: 'button primary', symbol: 'retry', on: { click: () => this.retry(picture, null) } }));
    }
    const model = modelOf(job.model); // null where it is no longer on offer: nobody knows its parameters then
    if (model && (picture.status === 'failed' || !model.needs)) holder.append(begin); // pictures alone run no second step
    return holder;
  }

  form(picture) {
    const model = modelOf(picture.job.model);
    const fields = element('div', { class: 'params-fields' });
    const parameters = new ParameterForm(fields, model, picture.job.params);
    const go = element('button', { class: 'button primary', type: 'submit' }, icon('retry'), 'Generate');
    const made = element('form', { class: 'again', novalidate: true }, element('h3', {}, 'Parameters'), fields, go);
    made.noValidate = true;
    made.addEventListener('submit', (event) => {
      event.preventDefault();
      if (parameters.check()) this.retry(picture, parameters.values());
    });
    return made;
  }

  // A failed picture runs again in its own batch; a good one keeps its result, and becomes a new batch.
  async retry(picture, params) {
    try {
      if (picture.status === 'failed') await actions.retry(picture.job, [picture], params);
      else uploads.send([await originalObject(picture)], { models: [picture.job.model], params, fields: prepared.fields(picture), metadata: picture.job.metadata });
      this.shown = '';
      this.sent();
    } catch (error) {
      failed(error);
    }
  }
}

const fileUrl = (picture, kind) => `${BASE}/download/${picture.job.job_id}/${picture.image_id}?file=${kind}`;

// Of an object every view has its own.
const originalKind = (index) => (index ? `original-${index + 1}` : 'original');

// As it was sent, to be sent once more.
async function originalObject(picture) {
  const { filename, metadata } = picture;
  const known = picture.views || [];
  const grouped = known.length > 1 || Boolean(known[0]?.side);
  const views = known.length ? known : [{ filename, side: null }];
  const files = await Promise.all(views.map((view, index) => originalFile(picture, view.filename, index)));
  return { name: filename, grouped, metadata, views: files.map((file, index) => ({ file, side: views[index].side || '', thumbnail: null })) };
}

async function originalFile(picture, name, index) {
  const answer = await client.download(picture.job.job_id, picture.image_id, { file: originalKind(index) });
  return new File([await answer.blob()], name, { type: answer.headers.get('Content-Type') || '' });
}

function original(picture) {
  const { image_id: id, thumbnail, views = [] } = picture;
  if (!id && !thumbnail) return null;
  if (id && picture.sha256 === null) return null;  // not fetched yet
  if (id && views.length > 1) return element('div', { class: 'viewer-views' }, ...views.map((view, index) => viewOf(picture, view, index)));
  const size = picture.width ? `${picture.width} × ${picture.height}, ${bytes(picture.size)}` : bytes(picture.size);
  return element('figure', { class: 'viewer-original' },
    element('img', { src: id ? fileUrl(picture, 'original') : thumbnail, alt: `The original: ${picture.filename}` }),
    element('figcaption', {}, `Original · ${size}`));
}

// The pictures as they are sent; where they wait for a word, with the two answers.
function preparation(picture) {
  if (!prepared.files(picture).length) return null;
  const answers = prepared.waits(picture) ? [element('div', { class: 'card-ask' }, ...prepared.buttons(picture, ''))] : [];
  return element('div', { class: 'viewer-part' }, element('div', { class: 'viewer-views' }, ...prepared.figures(picture)), ...answers);
}

function viewOf(picture, { side, filename }, index) {
  const shows = side ? sideTitle(side) : `View ${index + 1}`;
  return element('figure', { class: 'viewer-original', title: filename },
    element('img', { src: fileUrl(picture, originalKind(index)), alt: `The original, ${shows.toLowerCase()}: ${filename}`, loading: 'lazy' }),
    element('figcaption', {}, shows));
}

function problem(picture) {
  if (!picture.error) return null;
  const { message, code } = picture.error;
  return element('div', { class: 'viewer-error', role: 'note' }, message, code ? element('p', { class: 'mono' }, code) : null);
}

function cost(picture) {
  if (picture.cost_usd === null || picture.cost_usd === undefined) return null;
  return usd(picture.cost_usd) + (picture.cost_uncertain ? ' (estimated)' : '');
}

function facts(picture) {
  const { job, result } = picture;
  const mesh = result?.mesh;
  const known = [
    ['State', picture.status === 'failed' ? 'Failed' : words(picture)],
    ['Triangles', mesh && number(mesh.triangles)],
    ['Vertices', mesh && number(mesh.vertices)],
    ['Textures', mesh && number(mesh.textures)],
    ['Size', mesh?.bounds && extent(mesh.bounds)],
    ['Cost', cost(picture)],
    ['Time', spent(picture)],
    ['Model', titleOf(job.model)],
    ['Variant', picture.variant && String(picture.variant)],
    ['Seed', picture.seed !== null && picture.seed !== undefined && String(picture.seed)],
    ['Preparation', preparedWords(picture)],
    ['Made from', picture.parent_image_id && `a model${makerOf(picture)}`],
    ...Object.entries(job.params || {}).map(([name, value]) => [name.replaceAll('_', ' '), String(value)]),
    ['Attempt', picture.attempt > 1 ? String(picture.attempt) : null],
    ['Finished', picture.finished_at && moment(picture.finished_at)],
    ['FAL request', picture.fal_request_id],
  ];
  return list(known.filter(([, value]) => value));
}

// Where the page knows the model that a second step has begun with: of which model it is.
function makerOf({ parent_job_id: id }) {
  const parent = jobs.find(id);
  return parent ? ` of ${titleOf(parent.model)}` : '';
}

function preparedWords({ preparation: done }) {
  if (!done) return null;
  const parts = [done.remove_background && 'background removed', done.crop && 'cropped', done.pad_square && 'padded to a square', done.cost_usd && usd(done.cost_usd)];
  return parts.filter(Boolean).join(', ');
}

const list = (pairs) => element('dl', { class: 'facts' }, ...pairs.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));

// What the caller has said of the picture and of its batch.
function own(picture) {
  const pairs = [...rows(picture.metadata), ...rows(picture.job.metadata)];
  return pairs.length ? element('div', { class: 'viewer-part own' }, element('h3', {}, 'Metadata'), list(pairs)) : null;
}

function spent(picture) {
  const span = picture.cached ? null : between(picture.started_at, picture.finished_at);
  return span === null ? null : seconds(Math.max(1, span));
}

function extent([low, high]) {
  return low.map((value, axis) => (high[axis] - value).toFixed(2)).join(' × ');
}

function files(picture) {
  const found = picture.result?.files || [];
  if (!found.length) return null;
  return element('div', { class: 'viewer-part' }, element('h3', {}, 'Downloads'), element('div', { class: 'files' }, ...found.map(fileLink)));
}

function fileLink(file) {
  const name = KINDS[file.kind] || file.kind;
  return element('a', { href: file.url, download: '' }, icon('download'), element('span', {}, `${name} · ${file.format.toUpperCase()}`), element('span', {}, bytes(file.size)));
}

// What was done with its pictures, and what FAL named and could not be had or understood. FAL keeps files for
// days, so what is missing may come yet.
function warnings(picture) {
  const several = picture.views?.length > 1;
  const own = (picture.warnings || []).map((one) => (several ? { ...one, message: `${one.file}: ${one.message}` } : one));
  const found = [...own, ...(picture.result?.warnings || [])];
  if (!found.length) return null;
  const missing = found.some(({ code }) => code === 'file_missing' || code === 'file_refused');
  const again = button('Fetch missing files', { kind: 'button', symbol: 'retry', on: { click: () => actions.refreshFiles(picture) } });
  return element('div', { class: 'viewer-part warnings' }, element('h3', {}, 'Warnings'),
    ...found.map(({ message }) => element('p', {}, message)), ...(missing ? [again] : []));
}
