// Makes elements. Everything shown on the page is made here, so text is always text and never markup.

export const byId = (id) => document.getElementById(id);

// `properties`: DOM properties, `class`, `data-…`/`aria-…`/`role` attributes, and `on` for listeners.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) give(made, name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function give(made, name, value) {
  if (value === undefined || value === null) return;
  if (name === 'class') made.className = value;
  else if (name === 'on') for (const [type, listener] of Object.entries(value)) made.addEventListener(type, listener);
  else if (/-|^role$|^for$/.test(name)) made.setAttribute(name, value);
  else made[name] = value;
}

const SPRITE = new URL('../icons.svg', import.meta.url).pathname;
const SVG = 'http://www.w3.org/2000/svg';

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

export function button(label, options = {}) {
  const { kind = 'quiet', symbol = null, only = false, ...rest } = options;
  const shown = only ? { 'aria-label': label, title: label } : {};
  const content = only ? [icon(symbol)] : [symbol && icon(symbol), label];
  return element('button', { type: 'button', class: only ? `${kind} icon-only` : kind, ...shown, ...rest }, ...content);
}

// Writes only what differs: an unchanged text costs no layout.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}
