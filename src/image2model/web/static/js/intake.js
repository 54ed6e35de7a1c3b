// Takes pictures in: dropped files and folders, pasted ones, and those chosen in a dialog.

import { byId, show } from './dom.js';

const PICTURES = /\.(png|jpe?g|jfif|webp|heic|heif|avif|gif|tiff?|bmp)$/i;
const TYPES = new Set('png jpeg webp heic heif avif gif tiff bmp'.split(' ').map((name) => `image/${name}`));

const isPicture = (file) => TYPES.has(file.type) || PICTURES.test(file.name);

const folders = new WeakMap();

// The folder that a file came in, with slashes; empty where it came by itself.
export const folderOf = (file) => folders.get(file) ?? file.webkitRelativePath.split('/').slice(0, -1).join('/');

// `take(pictures, others, target)`: the pictures among what came in, the other files, and where they were let go.
export function start(take) {
  const give = (files, target = null) => take(files.filter(isPicture), files.filter((file) => !isPicture(file)), target);
  chooser('pick-files', 'files', give);
  chooser('pick-folder', 'folder', give);
  dropping(give);
  window.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (files.length) give(files.map(named));
  });
}

function chooser(buttonId, inputId, give) {
  const input = byId(inputId);
  byId(buttonId).addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    give([...input.files].sort(byPath)); // a folder comes in the order of the disk
    input.value = '';
  });
}

const inOrder = (one, other) => one.localeCompare(other, undefined, { numeric: true });

// Files that were chosen one by one have no path: they keep their order.
const byPath = (one, other) => inOrder(one.webkitRelativePath, other.webkitRelativePath);

// A pasted screenshot is always called image.png.
function named(file, index) {
  if (file.name !== 'image.png') return file;
  const stamp = new Date().toISOString().slice(0, 19).replace(/[T:]/g, '-');
  return new File([file], `pasted-${stamp}${index ? `-${index}` : ''}.png`, { type: file.type });
}

function dropping(give) {
  let depth = 0;
  const cover = (shown) => {
    depth = shown ? depth : 0;
    show(byId('drop-cover'), shown);
    document.body.classList.toggle('dragging', shown);
  };
  const carries = (event) => event.dataTransfer?.types.includes('Files');
  window.addEventListener('dragenter', (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth += 1;
    cover(true);
  });
  window.addEventListener('dragover', (event) => carries(event) && event.preventDefault());
  window.addEventListener('dragleave', (event) => {
    if (carries(event) && (depth -= 1) <= 0) cover(false);
  });
  window.addEventListener('drop', async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    cover(false);
    const { target } = event;
    give(await dropped(event.dataTransfer), target);
  });
}

// The entries must be taken before the first `await`: afterwards the list is empty.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map((entry) => walk(entry, '')));
  return found.flat();
}

async function walk(entry, folder) {
  if (entry.isFile) return [kept(await new Promise((take, refuse) => entry.file(take, refuse)), folder)];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((take, refuse) => reader.readEntries(take, refuse));
    if (!some.length) break; // a reader gives at most 100 at a time
    found.push(...some);
  }
  found.sort((a, b) => inOrder(a.name, b.name));
  const inside = folder ? `${folder}/${entry.name}` : entry.name;
  return (await Promise.all(found.map((one) => walk(one, inside)))).flat();
}

function kept(file, folder) {
  folders.set(file, folder);
  return file;
}
