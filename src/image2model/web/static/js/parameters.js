// A form for a model's parameters, built from their JSON Schema.

import { element, say } from './dom.js';

let forms = 0;

export class ParameterForm {
  // `given`: values to begin with. `changed` is called after each change.
  constructor(holder, model, given = {}, changed = () => {}) {
    this.model = model;
    this.prefix = `parameter-${(forms += 1)}`;
    this.inputs = new Map();
    holder.replaceChildren(...Object.entries(model.properties).map(([name, schema]) => this.field(name, schema, given[name])));
    if (!this.inputs.size) holder.append(element('p', { class: 'field-help' }, 'This model has no parameters.'));
    holder.onchange = holder.oninput = changed;
  }

  field(name, given, value) {
    const schema = { ...given, type: kindOf(given), shape: [given.type].flat()[0], required: this.model.required.has(name) };
    const id = `${this.prefix}-${name}`;
    const input = control(id, schema, value);
    this.inputs.set(name, { input, schema });
    const help = element('p', { class: 'field-help', id: `${id}-help` }, schema.description || '');
    const error = element('p', { class: 'field-error', id: `${id}-error`, hidden: true });
    input.setAttribute('aria-describedby', `${id}-help ${id}-error`);
    const label = schema.type === 'boolean' && !isThreeWay(schema)
      ? element('label', { class: 'switch' }, input, title(name))
      : element('label', { for: id }, title(name));
    return element('div', { class: 'field' }, label, label.contains(input) ? null : input, help, error);
  }

  // What differs from the defaults, in the schema's types.
  values() {
    const found = {};
    for (const [name, { input, schema }] of this.inputs) {
      const value = read(input, schema);
      if (value !== undefined && JSON.stringify(value) !== JSON.stringify(schema.default)) found[name] = value;
    }
    return found;
  }

  // Marks what cannot be sent; true where all can.
  check() {
    let good = true;
    for (const { input, schema } of this.inputs.values()) {
      const wrong = fault(input, schema);
      const error = document.getElementById(input.getAttribute('aria-describedby').split(' ')[1]);
      input.setAttribute('aria-invalid', String(Boolean(wrong)));
      say(error, wrong);
      error.hidden = !wrong;
      good = good && !wrong;
    }
    return good;
  }
}

const title = (name) => `${name[0].toUpperCase()}${name.slice(1)}`.replaceAll('_', ' ');
// One of JSON Schema's types, `json` for what is written as JSON: lists, objects, and what may be anything.
function kindOf(schema) {
  const kind = [schema.type].flat().find((one) => one !== 'null');
  return ['boolean', 'integer', 'number', 'string'].includes(kind) ? kind : 'json';
}

// Without a default the model decides, which a switch cannot say.
const isThreeWay = (schema) => schema.type === 'boolean' && schema.default === undefined;

function control(id, schema, value) {
  if (schema.type === 'json' && !schema.enum) return written(id, schema, value);
  if (schema.enum || isThreeWay(schema)) return choice(id, schema, value);
  if (schema.type === 'boolean') return element('input', { id, type: 'checkbox', role: 'switch', checked: value ?? schema.default });
  const numeric = schema.type === 'integer' || schema.type === 'number';
  const hint = schema.default === undefined ? 'The model decides' : String(schema.default);
  return element('input', {
    id, type: numeric ? 'number' : 'text', placeholder: hint, value: value ?? '', autocomplete: 'off',
    step: schema.type === 'integer' ? '1' : 'any', min: schema.minimum ?? '', max: schema.maximum ?? '',
  });
}

function written(id, schema, value) {
  const example = schema.default !== undefined && schema.default !== null ? JSON.stringify(schema.default) : { array: '[…]', object: '{…}' }[schema.shape] || 'JSON';
  return element('textarea', { id, rows: 2, placeholder: example, value: value === undefined ? '' : JSON.stringify(value), spellcheck: false, autocomplete: 'off' });
}

function choice(id, schema, value) {
  const options = (schema.enum || [true, false]).filter((one) => one !== null);
  const free = schema.default === undefined;
  const select = element('select', { id }, free ? element('option', { value: '' }, 'The model decides') : null,
    ...options.map((one) => element('option', { value: JSON.stringify(one) }, shown(one))));
  const chosen = value ?? schema.default;
  select.value = chosen === undefined ? '' : JSON.stringify(chosen);
  return select;
}

const shown = (value) => (value === true ? 'Yes' : value === false ? 'No' : String(value).replaceAll('_', ' '));

function read(input, schema) {
  if (input.type === 'checkbox') return input.checked;
  if (input.value === '') return undefined;
  if (input.tagName === 'SELECT') return JSON.parse(input.value);
  if (schema.type === 'json') return parsed(input.value);
  return schema.type === 'string' ? input.value : Number(input.value);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fault(input, schema) {
  if (input.type === 'checkbox') return '';
  if (input.validity.badInput) return 'This must be a number.';
  if (input.value === '') return schema.required ? 'This model needs a value here.' : '';
  if (schema.type === 'json' && input.tagName === 'TEXTAREA') return parsed(input.value) === undefined ? 'This must be JSON, such as [1, 2] or {"name": "value"}.' : '';
  if (input.tagName === 'SELECT' || schema.type === 'string') return '';
  const value = Number(input.value);
  if (schema.type === 'integer' && !Number.isInteger(value)) return 'This must be a whole number.';
  if (value < (schema.minimum ?? -Infinity)) return `This must be at least ${schema.minimum}.`;
  if (value > (schema.maximum ?? Infinity)) return `This must be at most ${schema.maximum}.`;
  if (value <= (schema.exclusiveMinimum ?? -Infinity)) return `This must be more than ${schema.exclusiveMinimum}.`;
  if (value >= (schema.exclusiveMaximum ?? Infinity)) return `This must be less than ${schema.exclusiveMaximum}.`;
  return '';
}
