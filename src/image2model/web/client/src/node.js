// Files, for Node, Deno and Bun. Apart from the client itself, so that bundlers for browsers never see it.

import { openAsBlob } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { ClientError, Unreachable } from './errors.js';
import { randomKey } from './form.js';
import { Patience, pause } from './patience.js';

/** @import { Metadata, Picture } from './documents.js' */

const PATIENCE_MS = 60_000;

/** A file arrived short, or with another size than was announced. */
export class BadDownload extends ClientError {}

/**
 * A file on disk as a picture to upload. It is read while it is sent.
 *
 * @param {string} path
 * @param {{name?: string, metadata?: Metadata}} [options] `name`: for display, by default the file's
 * @returns {Promise<Picture>}
 */
export async function openPicture(path, { name = basename(path), metadata = {} } = {}) {
  const file = await openAsBlob(path);
  const { size } = await stat(path);
  const whole = new Blob([file, '.']).size === size + 1; // Bun 1.4 takes a file among other parts for nothing
  return { name, data: whole ? file : new Blob([await readFile(path)]), metadata };
}

/**
 * Save a download, complete or not at all: into a temporary file beside `path`, checked, then renamed. A transfer that
 * breaks off is begun again for `patience` milliseconds. Folders are made. Rejects as `download` does, with
 * `BadDownload`, and with what the file system says.
 *
 * @param {string} path
 * @param {() => Promise<Response>} download such as `() => client.download(jobId, imageId)`
 * @param {{size?: number | null, patience?: number, signal?: AbortSignal}} [options] `size`: as in the job's document
 * @returns {Promise<number>} the file's size
 */
export async function save(path, download, { size = null, patience: ms = PATIENCE_MS, signal } = {}) {
  const patience = new Patience(ms);
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    const response = await download();
    try {
      return await written(path, response, size);
    } catch (error) {
      const wait = error instanceof Unreachable || error instanceof BadDownload ? patience.next() : null;
      if (wait === null) throw error;
      await pause(wait, signal ?? new AbortController().signal);
    }
  }
}

/** @param {string} path @param {Response} response @param {number | null} size */
async function written(path, response, size) {
  const part = join(dirname(path), `.${randomKey()}.part`); // without the name, which may be too long already
  try {
    const arrived = await receive(part, response);
    const plain = !response.headers.has('content-encoding');
    const announced = plain ? response.headers.get('content-length') : null;
    for (const expected of [announced, size]) {
      if (expected !== null && Number(expected) !== arrived) {
        throw new BadDownload(`${basename(path)} arrived with ${arrived} bytes instead of ${expected}.`);
      }
    }
    await rename(part, path);
    return arrived;
  } finally {
    await rm(part, { force: true });
  }
}

/** @param {string} part @param {Response} response */
async function receive(part, response) {
  const file = await open(part, 'wx');
  let arrived = 0;
  try {
    for await (const chunk of response.body ?? []) {
      await file.writeFile(chunk);
      arrived += chunk.byteLength;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return arrived;
}
