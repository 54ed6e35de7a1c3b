// Turning models in the cards that are in view: a few at once, for each costs the graphics card. A model
// that leaves the view leaves a still of itself behind.

import { element } from './dom.js';
import { load, missing, modelFile } from './viewer-parts.js';

const MOST = (navigator.hardwareConcurrency || 4) >= 8 ? 8 : 4;
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const inView = new Set();
const running = new Map();
let due = false;

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) inView.add(entry.target);
    else inView.delete(entry.target);
  }
  plan();
}, { threshold: 0.35 });

export function consider(card) {
  const ready = card.picture.status === 'succeeded' && modelFile(card.picture) !== null;
  if (ready === Boolean(card.watched)) return;
  card.watched = ready;
  if (ready) watcher.observe(card.element);
  else stop(card.element);
}

// While the large viewer is open the small ones rest.
let resting = false;
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
  }, 120);
}

function settle() {
  if (missing) return;
  const wanted = resting ? [] : [...inView].filter((node) => node.isConnected && !node.hidden).slice(0, MOST);
  for (const node of running.keys()) if (!wanted.includes(node)) stop(node);
  for (const node of wanted) if (!running.has(node)) begin(node);
}

async function begin(node) {
  running.set(node, null);
  await load();
  if (!running.has(node)) return;
  const { card } = node;
  const viewer = element('model-viewer', { class: 'card-live', tabIndex: -1, 'aria-hidden': 'true', 'interaction-prompt': 'none', loading: 'eager', 'shadow-intensity': '0.6', 'disable-tap': '', 'camera-orbit': '25deg 78deg auto', 'rotation-per-second': '24deg', 'auto-rotate-delay': '0', src: modelFile(card.picture).url });
  if (!calm.matches) viewer.setAttribute('auto-rotate', '');
  viewer.addEventListener('load', () => viewer.classList.add('shown'), { once: true });
  viewer.addEventListener('error', () => stop(node), { once: true });
  running.set(node, viewer);
  card.media.append(viewer);
}

async function stop(node) {
  watcherForget(node);
  const viewer = running.get(node);
  running.delete(node);
  if (!viewer) return;
  if (viewer.loaded) await keepStill(node.card, viewer);
  viewer.remove();
}

function watcherForget(node) {
  if (node.card.watched) return;
  watcher.unobserve(node);
  inView.delete(node);
}

async function keepStill(card, viewer) {
  const blob = await viewer.toBlob({ mimeType: 'image/webp', idealAspect: false }).catch(() => null);
  if (!blob) return;
  const still = element('img', { class: 'card-still', alt: '', src: URL.createObjectURL(blob) });
  const earlier = card.media.querySelector('.card-still');
  await still.decode().catch(() => null);
  if (earlier) URL.revokeObjectURL(earlier.src);
  earlier?.remove();
  card.media.append(still);
}
