// Loads the 3D viewer when the first model is there, and never before.

const present = document.querySelector('meta[name="viewer"]').content === 'yes';
const MISSING = 'The 3D viewer is not installed here: install Node 20 or later and run `make setup` once more. Downloads work without it.';
let loading = null;

export const missing = present ? '' : MISSING;

// Resolves when `<model-viewer>` works. Rejects with words for the person where it cannot.
export function load() {
  if (!present) return Promise.reject(new Error(MISSING));
  loading ??= begin();
  return loading;
}

async function begin() {
  const vendor = new URL('../vendor/', import.meta.url);
  // Its decoders would come from other hosts; ours are beside it.
  self.ModelViewerElement = {
    dracoDecoderLocation: new URL('draco/', vendor).href,
    ktx2TranscoderLocation: new URL('basis/', vendor).href,
    meshoptDecoderLocation: new URL('../meshopt.js', import.meta.url).href,
    minimumRenderScale: 0.5,
  };
  await import(new URL('model-viewer.min.js', vendor).href);
  await customElements.whenDefined('model-viewer');
}

export function modelFile(picture) {
  const files = picture.result?.files || [];
  const shown = files.filter((file) => ['glb', 'gltf'].includes(file.format));
  return shown.find((file) => file.kind === 'model') || shown[0] || null;
}
