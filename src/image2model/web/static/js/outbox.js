// Batches that were not accepted yet, with their files and their idempotency keys, kept in the browser.
//
// A reload or a crash in the middle of an upload loses nothing: the next page sends the batch again under
// the same key, and the service answers with the job that it made the first time, if it did.

const STORE = 'batches';

function open() {
  return new Promise((done, refuse) => {
    const request = indexedDB.open('image2model-outbox', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' });
    request.onsuccess = () => done(request.result);
    request.onerror = () => refuse(request.error);
  });
}

async function run(mode, act) {
  const database = await open();
  try {
    return await new Promise((done, refuse) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request.result);
      transaction.onerror = transaction.onabort = () => refuse(transaction.error);
    });
  } finally {
    database.close();
  }
}

// False where the browser keeps nothing (private windows, a full disk): the upload itself still works.
export async function keep(batch) {
  try {
    await run('readwrite', (store) => store.put(batch));
    return true;
  } catch {
    return false;
  }
}

export async function drop(key) {
  try {
    await run('readwrite', (store) => store.delete(key));
  } catch {
    return; // it was never kept
  }
}

export async function kept() {
  try {
    return await run('readonly', (store) => store.getAll());
  } catch {
    return [];
  }
}

// Runs `act` unless another tab of this browser holds the batch.
export function exclusively(key, act) {
  if (!navigator.locks) return act(); // only on https and loopback; the idempotency key guards the rest
  return navigator.locks.request(`outbox-${key}`, { ifAvailable: true }, (lock) => lock && act());
}
