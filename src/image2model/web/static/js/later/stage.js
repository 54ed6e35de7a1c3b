// Where a model is shown large, and the tools around it.

import { thumbnailUrl } from '../card.js';
import { button, element, show } from '../dom.js';
import { words } from '../states.js';
import { load, missing, modelFile } from '../viewer-parts.js';
import * as wireframe from './wireframe.js';
import { LIGHTS, environment } from './lights.js';

const GROUNDS = { '': 'Background', light: 'Light', dark: 'Dark', grid: 'Checks' };
const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class Stage {
  constructor() {
    this.message = element('div', { class: 'stage-message' });
    this.bar = element('div', { class: 'stage-bar' });
    this.tools = element('div', { class: 'stage-tools', role: 'toolbar', 'aria-label': 'View' });
    this.element = element('div', { class: 'stage' }, this.message, this.bar, this.tools);
    this.viewer = null;
    this.file = null;
    this.buildTools();
  }

  buildTools() {
    const toggle = (label, symbol, pressed, change) => {
      const made = button(label, { symbol, only: true, 'aria-pressed': String(pressed), on: { click: () => {
        const now = made.getAttribute('aria-pressed') !== 'true';
        made.setAttribute('aria-pressed', String(now));
        change(now);
      } } });
      return made;
    };
    this.turning = !calm.matches;
    this.wired = false;
    this.turn = toggle('Turn', 'turn', this.turning, (now) => this.apply({ turning: now }));
    this.wire = toggle('Wireframe', 'grid', false, (now) => this.apply({ wired: now }));
    this.reset = button('Reset the view', { symbol: 'home', only: true, on: { click: () => this.home() } });
    this.light = select('Light', LIGHTS, () => this.apply({}));
    this.exposure = element('input', { type: 'range', min: '0.2', max: '2.4', step: '0.05', value: '1', 'aria-label': 'Brightness', on: { input: () => this.apply({}) } });
    this.ground = select('Background', GROUNDS, () => { this.element.dataset.ground = this.ground.value; });
    this.full = button('Full screen', { symbol: 'expand', only: true, on: { click: () => this.fullScreen() } });
    this.ar = button('View in your room', { symbol: 'ar', only: true, hidden: true, on: { click: () => this.viewer.activateAR() } });
    this.tools.append(this.turn, this.wire, this.reset, this.light, element('label', {}, this.exposure), this.ground, this.full, this.ar);
  }

  display(picture) {
    const file = missing || picture.status !== 'succeeded' ? null : modelFile(picture);
    if (file && file.url === this.file) return;
    this.empty();
    show(this.tools, Boolean(file));
    if (!file) return this.explain(picture);
    this.file = file.url;
    this.message.replaceChildren();
    load().then(() => this.file === file.url && this.begin(picture, file)).catch((error) => this.explain(picture, error.message));
  }

  begin(picture, file) {
    const viewer = element('model-viewer', {
      alt: `3D model made from ${picture.filename}`, 'interaction-prompt': 'none', 'camera-controls': '', 'touch-action': 'pan-y',
      ar: '', 'ar-modes': 'webxr scene-viewer quick-look', 'shadow-intensity': '0.8', 'shadow-softness': '0.9', 'auto-rotate-delay': '0',
      'rotation-per-second': '18deg', 'min-field-of-view': '8deg',
    });
    viewer.loading = 'eager';
    viewer.append(element('div', { slot: 'progress-bar' }), element('div', { slot: 'ar-button', hidden: true }));
    viewer.addEventListener('progress', (event) => this.progress(event.detail.totalProgress));
    viewer.addEventListener('load', () => this.loaded());
    viewer.addEventListener('error', () => this.explain(picture, 'This model cannot be shown. It can still be downloaded.'));
    this.viewer = viewer;
    this.apply({});
    this.element.prepend(viewer);
    viewer.src = file.url;
  }

  loaded() {
    show(this.ar, this.viewer.canActivateAR);
    show(this.wire, wireframe.possible(this.viewer));
    this.apply({});
    this.element.dataset.shown = this.file;
  }

  progress(share) {
    this.bar.style.setProperty('--share', share);
    this.bar.style.opacity = share < 1 ? '1' : '0';
  }

  apply({ turning = this.turning, wired = this.wired }) {
    this.turning = turning;
    this.wired = wired;
    const { viewer } = this;
    if (!viewer) return;
    viewer.toggleAttribute('auto-rotate', turning);
    viewer.setAttribute('exposure', this.exposure.value);
    const light = environment(this.light.value);
    if (viewer.getAttribute('environment-image') !== light) viewer.setAttribute('environment-image', light);
    if (viewer.loaded) wireframe.draw(viewer, wired);
  }

  home() {
    this.viewer.cameraOrbit = '0deg 75deg 105%';
    this.viewer.cameraTarget = 'auto auto auto';
    this.viewer.fieldOfView = 'auto';
    this.viewer.resetTurntableRotation(0);
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.element.requestFullscreen();
  }

  // In the viewer's place: why there is nothing to turn.
  explain(picture, why = '') {
    this.viewer?.remove();
    this.viewer = null;
    show(this.tools, false);
    const url = thumbnailUrl(picture);
    const text = why || (picture.status !== 'succeeded' ? words(picture) : missing || 'This result has no file that can be shown here. Download it to open it elsewhere.');
    this.message.replaceChildren(...(url ? [element('img', { src: url, alt: picture.filename })] : []), element('p', {}, text));
  }

  empty() {
    this.viewer?.remove();
    this.viewer = null;
    this.file = null;
    delete this.element.dataset.shown;
    this.progress(0);
  }
}

function select(label, options, change) {
  return element('select', { 'aria-label': label, title: label, on: { change } },
    ...Object.entries(options).map(([value, text]) => element('option', { value }, text)));
}
