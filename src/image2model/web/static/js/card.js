// One picture's card: its look now, its state in words, and, when it is done, its model.

import { BASE } from './api.js';
import * as actions from './actions.js';
import { button, element, say, show } from './dom.js';
import * as prepared from './prepared.js';
import { viewWords } from './sides.js';
import { isMoving, place, words } from './states.js';

const SHARE = { queued: 0, preparing: 0.05, submitted: 0.1, generating: 0.5, storing: 0.9 };

export const thumbnailUrl = (picture) =>
  picture.thumbnail || (picture.image_id && picture.sha256 !== null && `${BASE}/images/${picture.job.job_id}/${picture.image_id}/thumbnail`);

export class Card {
  // `opened(picture)` is called when a person wants to see more of it.
  constructor(picture, opened) {
    this.picture = picture;
    this.media = element('div', { class: 'card-media' });
    this.image = element('img', { class: 'card-picture', alt: '', decoding: 'async', loading: 'lazy', draggable: false });
    this.progress = element('div', { class: 'card-progress' });
    this.badge = element('span', { class: 'card-badge', hidden: true });
    this.media.append(this.image, this.badge, this.progress);
    this.name = element('p', { class: 'card-name' });
    this.views = element('p', { class: 'card-views', hidden: true });
    this.state = element('p', { class: 'card-state' });
    this.open = element('button', { class: 'card-open', type: 'button', tabIndex: -1, on: { click: () => opened(this.picture) } });
    this.retry = button('Try again', { kind: 'quiet small card-retry', symbol: 'retry', hidden: true, on: { click: () => actions.retry(this.picture.job, [this.picture]) } });
    this.ask = element('div', { class: 'card-ask', hidden: true }, ...prepared.buttons(picture));
    this.text = element('div', { class: 'card-text' }, this.name, this.views, this.state, this.retry, this.ask);
    this.element = element('li', { class: 'card' }, this.media, this.text, this.open);
    this.element.card = this;
    this.update();
  }

  update() {
    const { picture } = this;
    const { status } = picture;
    const data = this.element.dataset;
    if (data.status !== status) data.status = status;
    const moving = String(isMoving(picture));
    if (data.moving !== moving) data.moving = moving;
    say(this.name, picture.filename);
    this.name.title = picture.filename;
    const views = this.kind();
    say(this.views, views);
    this.views.title = views;
    show(this.views, Boolean(views));
    this.source();
    const share = status === 'uploading' ? picture.sent : SHARE[status];
    show(this.progress, share !== undefined);
    if (share !== undefined) this.progress.style.setProperty('--share', share);
    show(this.retry, status === 'failed');
    show(this.ask, prepared.waits(picture));
    const badge = place(picture) || (picture.attempt > 1 && moving === 'true' ? `Attempt ${picture.attempt}` : '');
    say(this.badge, badge);
    show(this.badge, Boolean(badge));
    this.tell();
  }

  // The words alone: they count seconds.
  tell() {
    const text = words(this.picture);
    const queued = place(this.picture);
    const views = this.kind();
    if (this.said === text + views) return;
    this.said = text + views;
    say(this.state, text);
    this.state.title = text;
    this.open.setAttribute('aria-label', `${this.picture.filename}${views && `, ${views}`}: ${text}${queued && `, ${queued.toLowerCase()}`}`);
  }

  // What tells it from others of the same name.
  kind() {
    const { views, variant } = this.picture;
    return [variant ? `Variant ${variant}` : '', viewWords(views)].filter(Boolean).join(' · ');
  }

  source() {
    const waits = prepared.waits(this.picture);
    this.media.classList.toggle('prepared', waits);
    const url = (waits && prepared.files(this.picture)[0]?.url) || thumbnailUrl(this.picture);
    if (url && this.url !== url) this.image.src = this.url = url;
    show(this.image, Boolean(url));
  }
}
