// Puts the page together: what is there at once, what comes with the session, what is loaded later.

import * as announcer from './announcer.js';
import * as composer from './composer.js';
import * as documents from './documents.js';
import { byId } from './dom.js';
import * as events from './events.js';
import * as expected from './expected.js';
import * as gallery from './gallery.js';
import * as health from './health.js';
import * as jobs from './jobs.js';
import * as models from './models.js';
import * as session from './session.js';
import * as theme from './theme.js';
import { failed } from './toasts.js';
import * as uploads from './uploads.js';

const AGAIN_MS = 2000;
let resumed = false;

async function open(picture) {
  const viewer = await import('./later/viewer.js');
  viewer.open(picture);
}

async function enter() {
  try {
    await session.ask();
    await Promise.all([models.load().then(composer.offer), documents.firstPage().then(gallery.settled)]);
  } catch (error) {
    if (error.status === 401) return; // the sign-in comes back here
    failed(error);
    setTimeout(enter, AGAIN_MS);
    return;
  }
  events.connect();
  if (!resumed) uploads.resume();
  resumed = true;
  document.documentElement.dataset.ready = 'yes';
  performance.mark('ready');
}

function leave() {
  events.forget();
  jobs.clear();
}

theme.start();
composer.start();
expected.start();
announcer.start();
gallery.start((picture) => open(picture).catch(failed));
session.start(enter, leave);
health.start();
byId('admin-open').addEventListener('click', () => import('./later/admin.js').then((admin) => admin.toggle()).catch(failed));
enter();
