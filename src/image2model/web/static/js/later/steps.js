// The second step on a finished model: retexture it, reduce it, part it, rig it, as another model of FAL's does.

import { randomKey } from '../../client/form.js';
import { client } from '../api.js';
import { button, element, icon } from '../dom.js';
import { usd } from '../format.js';
import * as jobs from '../jobs.js';
import { modelOf, secondSteps } from '../models.js';
import { ParameterForm } from '../parameters.js';
import { failed, toast } from '../toasts.js';

// The part of the details that offers it; null where there is nothing to offer. `sent` is called after it was begun.
export function part(picture, sent) {
  if (picture.status !== 'succeeded' || !picture.result?.files?.length || !secondSteps().length) return null;
  const holder = element('div', { class: 'viewer-part next-step' });
  holder.append(button('Next step', { kind: 'button', symbol: 'right', on: { click: () => begin(holder, picture, sent) } }));
  return holder;
}

function begin(holder, picture, sent) {
  const form = new StepForm(picture, sent);
  holder.replaceChildren(form.element);
  form.select.focus();
}

// The picture that can be chosen is the style's.
function withoutStyle(model) {
  const style = new Set(model.inputs.filter(({ role }) => role === 'style').map(({ name }) => name));
  return { ...model, properties: Object.fromEntries(Object.entries(model.properties).filter(([name]) => !style.has(name))) };
}

class StepForm {
  constructor(picture, sent) {
    this.picture = picture;
    this.sent = sent;
    this.key = randomKey();
    this.select = element('select', { id: 'step-model', on: { change: () => this.choose() } },
      ...secondSteps().map((one) => element('option', { value: one.id }, one.price === null ? one.title : `${one.title} · ${usd(one.price)}`)));
    this.fields = element('div', { class: 'params-fields' });
    this.most = element('input', { id: 'step-most', type: 'number', min: '0.01', step: '0.01', inputMode: 'decimal', autocomplete: 'off' });
    this.mostField = element('div', { class: 'field' }, element('label', { for: 'step-most' }, 'The most that it may cost, in dollars'), this.most);
    this.file = element('input', { id: 'step-picture', type: 'file', accept: 'image/*,.heic,.heif' });
    this.fileField = element('div', { class: 'field' }, element('label', { for: 'step-picture' }, 'A picture for it'),
      this.file, element('p', { class: 'field-help' }, 'Without one it gets the original picture.'));
    this.go = element('button', { class: 'button primary', type: 'submit' }, icon('right'), 'Run');
    this.element = element('form', { class: 'again step', 'aria-label': 'Next step' }, element('h3', {}, 'Next step'),
      element('div', { class: 'field' }, element('label', { for: 'step-model' }, 'What to do'), this.select),
      this.fields, this.fileField, this.mostField, this.go);
    this.element.noValidate = true;
    this.element.addEventListener('change', () => (this.key = randomKey())); // another request
    this.element.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    this.choose();
  }

  choose() {
    this.model = modelOf(this.select.value);
    this.parameters = new ParameterForm(this.fields, withoutStyle(this.model));
    this.mostField.hidden = this.model.price !== null && this.model.price !== undefined;
    this.fileField.hidden = !this.model.inputs.some(({ role }) => role === 'picture' || role === 'style');
  }

  async send() {
    if (!this.parameters.check()) return;
    const { job, image_id: id } = this.picture;
    this.go.disabled = true;
    try {
      const asked = jobs.tick();
      jobs.put(await client.derive(job.job_id, id, this.options(), { idempotencyKey: this.key }), asked);
      toast(`${this.model.title} runs on ${this.picture.filename}. It is a batch of its own.`);
      this.sent();
    } catch (error) {
      failed(error);
      this.go.disabled = false;
    }
  }

  options() {
    const most = !this.mostField.hidden && Number(this.most.value) > 0 ? Number(this.most.value) : null;
    const [picture] = this.fileField.hidden ? [] : this.file.files;
    return { model: this.model.id, params: this.parameters.values(), ...(most && { max_cost_usd: most }), ...(picture && { picture }) };
  }
}
