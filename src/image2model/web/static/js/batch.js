// One batch on the page: its head with progress and actions, and the cards of its pictures.

import * as actions from './actions.js';
import { Card } from './card.js';
import { button, element, icon, say, show } from './dom.js';
import { moment, plural, usd } from './format.js';
import { matches, narrowed } from './filters.js';
import { titleOf } from './models.js';
import * as prepared from './prepared.js';
import { WHY } from './states.js';
import * as uploads from './uploads.js';

const BUSY = ['preparing', 'submitted', 'generating', 'storing'];

export class Batch {
  constructor(job, opened) {
    this.job = job;
    this.opened = opened;
    this.cards = new Map();
    this.title = element('h2');
    this.facts = element('p', { class: 'batch-facts' });
    this.bars = ['batch-done', 'batch-failed', 'batch-busy'].map((name) => element('span', { class: name }));
    this.bar = element('div', { class: 'batch-bar', role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': 0, 'aria-valuemax': 100 }, ...this.bars);
    this.why = element('p', { class: 'batch-why', hidden: true });
    this.rejected = element('div', { class: 'batch-rejected', hidden: true });
    this.grid = element('ul', { class: 'cards' });
    this.element = element('section', { class: 'batch' },
      element('div', { class: 'batch-head' }, element('div', { class: 'batch-title' }, this.title, this.facts), this.buttons(), this.bar, this.why, this.rejected),
      this.grid);
    this.element.batch = this;
    this.update();
  }

  buttons() {
    const { job } = this;
    const make = (label, symbol, click) => button(label, { kind: 'quiet small', symbol, on: { click } });
    this.confirm = make('Use all prepared', 'check', () => this.confirmAll());
    this.retry = make('Retry failed', 'retry', () => actions.retry(job));
    this.zip = element('a', { class: 'quiet small', download: '' }, icon('download'), 'ZIP');
    this.cancel = make('Cancel', 'stop', () => actions.cancel(job));
    this.delete = button('Delete batch', { kind: 'quiet small', symbol: 'trash', only: true, on: { click: () => (job.job_id ? actions.remove(job) : uploads.abandon(job)) } });
    return element('div', { class: 'batch-actions' }, this.confirm, this.retry, this.zip, this.cancel, this.delete);
  }

  update() {
    const { job } = this;
    const counts = job.counts || {};
    const finished = ['succeeded', 'partial', 'failed', 'cancelled'].includes(job.status);
    const title = (job.upload?.batch.models || [job.model]).map(titleOf).join(', ');
    say(this.title, title);
    say(this.facts, this.sentence(counts));
    this.element.setAttribute('aria-label', `Batch of ${plural(job.total, 'picture')}, ${title}`);
    show(this.confirm, this.waiting().length > 1);
    show(this.retry, Boolean(job.job_id) && counts.failed > 0);
    show(this.zip, Boolean(job.job_id) && counts.succeeded > 0);
    if (job.job_id) this.zip.href = job.links?.archive || '';
    this.zip.setAttribute('aria-label', 'Download all models as ZIP');
    show(this.cancel, Boolean(job.job_id) && !finished && !job.cancel_requested);
    this.drawBar(counts, finished);
    this.drawWhy(finished);
    this.drawRejected();
    this.drawCards();
  }

  waiting() {
    return (this.job.images || []).filter(prepared.waits);
  }

  async confirmAll() {
    for (const picture of this.waiting()) if (!(await actions.confirm(picture, true))) return;
  }

  sentence(counts) {
    const { job } = this;
    const parts = [`${counts.succeeded || 0} of ${job.total} done`];
    if (!job.job_id) parts[0] = job.status === 'refused' ? 'Not accepted' : `Sending ${plural(job.total, 'picture')}`;
    if (counts.failed) parts.push(`${counts.failed} failed`);
    if (counts.cancelled) parts.push(`${counts.cancelled} cancelled`);
    if (job.job_id) parts.push(cost(job));
    parts.push(moment(job.created_at));
    return parts.filter(Boolean).join(' · ');
  }

  drawBar(counts, finished) {
    const total = this.job.total || 1;
    const sending = !this.job.job_id;
    const sent = sending ? this.job.images.reduce((sum, one) => sum + one.sent, 0) : 0;
    const busy = sending ? sent : BUSY.reduce((sum, status) => sum + (counts[status] || 0), 0);
    const shares = [counts.succeeded || 0, (counts.failed || 0) + (counts.cancelled || 0), busy].map((count) => count / total);
    for (const [place, bar] of this.bars.entries()) bar.style.setProperty('--share', shares[place]);
    this.bar.setAttribute('aria-valuenow', Math.round((sending ? 0 : this.job.progress || 0) * 100));
    show(this.bar, !finished || counts.failed > 0);
  }

  drawWhy(finished) {
    const { job } = this;
    const error = job.upload?.error;
    const asked = job.cancel_requested && !finished ? 'FAL was asked to stop what it has begun. What it finishes nevertheless is kept, and billed.' : '';
    const text = error || (finished ? '' : asked || WHY[job.waiting_for] || '');
    show(this.why, Boolean(text));
    const kind = error && !job.upload.passing ? 'bad' : 'warn';
    if (this.whySaid === text + kind) return;
    this.whySaid = text + kind;
    this.why.dataset.kind = kind;
    const again = kind === 'bad' ? button('Send again', { kind: 'button small', on: { click: () => uploads.again(job) } }) : null;
    this.why.replaceChildren(icon('warning'), element('span', {}, text), ...(again ? [again] : []));
  }

  drawRejected() {
    const files = this.job.rejected || [];
    show(this.rejected, files.length > 0);
    if (this.rejected.childElementCount === files.length) return;
    this.rejected.replaceChildren(...files.map((one) => element('p', {}, `${one.file}: ${one.detail}`)));
  }

  drawCards() {
    const { images } = this.job;
    if (images === null) return this.skeletons();
    if (this.drawn !== images) {
      this.drawn = images;
      for (const [picture, card] of this.cards) if (!images.includes(picture)) this.drop(picture, card);
      this.grid.replaceChildren(...images.map((picture) => this.card(picture).element));
    }
    return this.filter();
  }

  card(picture) {
    if (!this.cards.has(picture)) this.cards.set(picture, new Card(picture, this.opened));
    return this.cards.get(picture);
  }

  drop(picture, card) {
    this.cards.delete(picture);
    card.element.remove();
  }

  skeletons() {
    if (this.grid.childElementCount) return;
    this.grid.replaceChildren(...Array.from({ length: this.job.total }, () => element('li', { class: 'skeleton', 'aria-label': 'Not loaded yet' })));
  }

  // Shows what passes the filters; one card is in the tab order.
  filter() {
    let shown = 0;
    for (const [picture, card] of this.cards) {
      const good = matches(picture);
      show(card.element, good);
      shown += good ? 1 : 0;
    }
    show(this.element, !this.job.hidden && (shown > 0 || !narrowed()));
    if (!this.grid.querySelector('.card:not([hidden]) > .card-open[tabindex="0"]')) {
      const first = this.grid.querySelector('.card:not([hidden]) > .card-open');
      if (first) first.tabIndex = 0;
    }
  }
}

function cost(job) {
  const spent = job.cost_usd || 0;
  const whole = job.estimated_cost_usd;
  if (job.finished_at || whole === null || whole === undefined) return spent ? usd(spent) : '';
  return `${usd(spent)} of about ${usd(whole)}`;
}
