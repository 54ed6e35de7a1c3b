// Models in the cards that are in view: a few turn at once, for each costs the graphics card; the others
// show a still of theirs. A card under the pointer or the focus turns before all others. How many is found
// out by the first one: where graphics are slow (no graphics card) it stays alone.

import { element } from './dom.js';
import { load, missing, modelFile } from './viewer-parts.js';

const ROOM = (navigator.hardwareConcurrency || 4) >= 8 ? 8 : 4;
const SLOW_MS = 2500;
const SETTLE_MS = 120;
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const inView = new Set();
const running = new Map();
let wished = null;
let portrait = null;
let resting = false;
let due = false;
let most = 1;
let measured = false;

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inView.add(target);
    else inView.delete(target);
  }
  plan();
}, { threshold: 0.35 });

// Called whenever a card's picture has changed.
export function consider(card) {
  const ready = card.picture.status === 'succeeded' && modelFile(card.picture) !== null;
  if (missing || ready === Boolean(card.watched)) return;
  card.watched = ready;
  if (ready) return watch(card.element);
  watcher.unobserve(card.element);
  inView.delete(card.element);
  card.media.querySelector('.card-still')?.remove();
  return plan();
}

function watch(node) {
  watcher.observe(node);
  const wish = () => {
    wished = node;
    plan();
  };
  node.addEventListener('pointerenter', wish);
  node.addEventListener('focusin', wish);
}

// While the large viewer is open the small ones rest.
export function rest(now) {
  resting = now;
  plan();
}

function plan() {
  if (due) return;
  due = true;
  setTimeout(() => {
    due = false;
    settle();
  }, SETTLE_MS);
}

function settle() {
  const present = resting ? [] : [...inView].filter((node) => node.isConnected && !node.hidden && !node.card.broken);
  const wanted = new Set([wished, ...present].filter((node) => present.includes(node)).slice(0, most));
  for (const node of running.keys()) if (!wanted.has(node) && node !== portrait) stop(node);
  for (const node of wanted) begin(node);
  if (portrait === null && most > 1) next(present.filter((node) => !wanted.has(node)));
}

// Of those that do not turn one after the other is shown for a moment, to have a still of it.
function next(others) {
  const node = others.find((one) => !one.querySelector('.card-still') && !running.has(one));
  if (!node) return;
  portrait = node;
  begin(node);
}

async function begin(node) {
  if (running.has(node)) return;
  running.set(node, null);
  await load();
  if (!running.has(node)) return;
  const viewer = element('model-viewer', {
    class: 'card-live', tabIndex: -1, 'aria-hidden': 'true', 'interaction-prompt': 'none', 'disable-tap': '', 'disable-zoom': '',
    'shadow-intensity': '0.6', 'camera-orbit': '25deg 78deg auto', 'rotation-per-second': '24deg', 'auto-rotate-delay': '0',
  });
  viewer.loading = 'eager';
  viewer.toggleAttribute('auto-rotate', !calm.matches);
  viewer.addEventListener('load', () => loaded(node, viewer), { once: true });
  viewer.addEventListener('error', () => broken(node), { once: true });
  running.set(node, viewer);
  node.card.media.append(viewer);
  viewer.begun = performance.now();
  viewer.src = modelFile(node.card.picture).url;
}

async function loaded(node, viewer) {
  viewer.classList.add('shown');
  measure(viewer);
  if (node !== portrait) return;
  await stop(node);
  portrait = null;
  plan();
}

function measure(viewer) {
  if (measured) return;
  measured = true;
  if (performance.now() - viewer.begun > SLOW_MS) return;
  most = ROOM;
  plan();
}

function broken(node) {
  node.card.broken = true;
  stop(node);
  if (portrait === node) portrait = null;
  plan();
}

async function stop(node) {
  const viewer = running.get(node);
  running.delete(node);
  if (portrait === node && !viewer?.loaded) portrait = null;
  if (!viewer) return;
  if (viewer.loaded && node.card.watched) await keepStill(node.card, viewer);
  viewer.remove();
}

async function keepStill(card, viewer) {
  const blob = await viewer.toBlob({ mimeType: 'image/webp' }).catch(() => null);
  if (!blob) return;
  const still = element('img', { class: 'card-still', alt: '', src: URL.createObjectURL(blob) });
  await still.decode().catch(() => null);
  const earlier = card.media.querySelector('.card-still');
  if (earlier) URL.revokeObjectURL(earlier.src);
  earlier?.remove();
  card.media.append(still);
}
