// The shared worker that holds the connection to `/events` for all tabs.

import { EventHub } from '../event-hub.js';

const GONE_MS = 180_000; // a browser lets the timers of a hidden tab run once a minute
const SWEEP_MS = 60_000;

const tabs = new Map(); // what each tab is called: {port, heardAt}
const hub = new EventHub((message) => {
  if (message.type === 'welcome') tabs.get(message.to)?.port.postMessage(message);
  else for (const { port } of tabs.values()) port.postMessage(message);
});

function leave(tab) {
  tabs.delete(tab);
  if (!tabs.size) hub.stop();
}

function hear(port, message) {
  const { type, from } = message;
  if (type === 'bye') return leave(from);
  if (type === 'hello') tabs.set(from, { port, heardAt: Date.now() });
  const tab = tabs.get(from);
  if (!tab) return port.postMessage({ type: 'open' }); // it was frozen for so long that it was taken for closed
  tab.heardAt = Date.now();
  if (type === 'ping') return port.postMessage({ type: 'pong' });
  return hub.hear(message);
}

setInterval(() => {
  const earliest = Date.now() - GONE_MS;
  for (const [tab, { heardAt }] of tabs) if (heardAt < earliest) leave(tab); // its process ended
}, SWEEP_MS);

globalThis.addEventListener('connect', ({ ports: [port] }) => {
  port.onmessage = ({ data }) => hear(port, data);
});
