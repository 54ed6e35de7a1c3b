// One picture, or one object with its views, as it is shown before it is sent.

import { button, element, icon, say, show } from './dom.js';
import { SIDES, sideTitle } from './sides.js';

let made = 0;

function remover(label, click) {
  return element('button', { type: 'button', class: 'remove', 'aria-label': label, on: { click } }, icon('close'));
}

const marked = () => element('span', { class: 'warning-mark', hidden: true }, icon('warning'));

// Shows that there is a warning, to the eye; the words stand below the list.
function mark(node, view) {
  node.title = view.warning;
  show(node, Boolean(view.warning));
}

class Item {
  constructor(object, actions) {
    this.object = object;
    this.actions = actions;
    this.pick = element('input', { type: 'checkbox', class: 'pick', on: { change: () => this.choose() } });
  }

  get picked() {
    return this.pick.checked;
  }

  set picked(on) {
    this.pick.checked = on;
    this.choose();
  }

  choose() {
    this.element.classList.toggle('picked', this.pick.checked);
    this.actions.picked();
  }
}

export class PictureItem extends Item {
  constructor(object, actions) {
    super(object, actions);
    const [view] = object.views;
    const { name } = view.file;
    this.pick.setAttribute('aria-label', `Select ${name}`);
    this.element = element('li', { class: 'tile', title: name, draggable: true },
      element('label', {}, view.image, this.pick), (this.mark = marked()),
      remover(`Remove ${name}`, () => actions.remove(this)));
  }

  viewAt() {
    return this.object.views[0];
  }

  warned() {
    mark(this.mark, this.object.views[0]);
  }

  judged(words) {
    this.element.classList.toggle('unfit', Boolean(words));
  }

  focus() {
    this.pick.focus();
  }
}

export class ObjectItem extends Item {
  constructor(object, actions) {
    super(object, actions);
    this.selects = new Map();
    this.marks = new Map();
    this.nodes = new Map();
    this.fault = element('p', { class: 'field-error', id: `object-${(made += 1)}-fault`, hidden: true });
    this.name = element('input', { type: 'text', class: 'object-name', value: object.name, maxLength: 80, autocomplete: 'off', spellcheck: false, 'aria-label': 'Name of the object', 'aria-describedby': this.fault.id });
    this.name.addEventListener('change', () => this.rename());
    this.name.addEventListener('keydown', (event) => event.key === 'Enter' && event.preventDefault()); // it would send all
    this.views = element('ul', { class: 'object-views' }, ...object.views.map((view) => this.view(view)));
    this.element = element('li', { class: 'object' },
      element('div', { class: 'object-head' }, this.pick, this.name,
        button('Ungroup', { kind: 'quiet small', on: { click: () => actions.ungroup(this) } }),
        remover('', () => actions.remove(this))),
      this.views, this.fault);
    this.called();
  }

  view(view) {
    const { name } = view.file;
    const sign = marked();
    this.marks.set(view, sign);
    const select = element('select', { 'aria-label': `Side of ${name}`, on: { change: () => this.turn(view, select.value) } },
      element('option', { value: '' }, 'No side'),
      ...SIDES.map((side) => element('option', { value: side }, sideTitle(side))));
    select.value = view.side;
    this.selects.set(view, select);
    const node = element('li', { title: name, draggable: true },
      element('div', { class: 'view-picture' }, view.image, sign, remover(`Remove ${name}`, () => this.actions.removeView(this, view))), select);
    this.nodes.set(view, node);
    return node;
  }

  warned() {
    for (const [view, sign] of this.marks) mark(sign, view);
  }

  turn(view, side) {
    this.actions.side(this, view, side);
    for (const [one, select] of this.selects) select.value = one.side;
  }

  rename() {
    this.name.value = this.actions.rename(this, this.name.value);
    this.called();
  }

  called() {
    const { name } = this.object;
    this.pick.setAttribute('aria-label', `Select the object ${name}`);
    this.views.setAttribute('aria-label', `Views of ${name}`);
    this.element.querySelector('.object-head .remove').setAttribute('aria-label', `Remove the object ${name}`);
  }

  viewAt(target) {
    return this.object.views.find((view) => this.nodes.get(view).contains(target));
  }

  judged(words) {
    this.element.classList.toggle('unfit', Boolean(words));
    say(this.fault, words);
    show(this.fault, Boolean(words));
  }

  focus() {
    this.name.focus();
  }
}
