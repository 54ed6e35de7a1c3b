// Small pictures of files that are still on this device: decoded off the main thread, a few at a time.

const EDGE = 320;
const AT_ONCE = 2;
const waiting = [];
let running = 0;

// An object URL of a small version; null where the browser cannot read the file.
export function thumbnail(file) {
  return new Promise((done) => {
    waiting.push({ file, done });
    next();
  });
}

async function next() {
  if (running >= AT_ONCE || !waiting.length) return;
  running += 1;
  const { file, done } = waiting.shift();
  done(await made(file));
  running -= 1;
  next();
}

async function made(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, EDGE / Math.min(bitmap.width, bitmap.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((take) => canvas.toBlob(take, 'image/webp', 0.8));
    return blob && URL.createObjectURL(blob);
  } catch {
    return null; // no picture that this browser reads; the server says what is wrong with it
  }
}
