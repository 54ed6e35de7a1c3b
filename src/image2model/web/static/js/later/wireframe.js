// Draws a model as its edges. `<model-viewer>` has no attribute for it: its scene is behind a symbol, and
// where a later version hides it better the tool is not offered.

function sceneOf(viewer) {
  const symbol = Object.getOwnPropertySymbols(viewer).find((one) => one.description === 'scene');
  return symbol ? viewer[symbol] : null;
}

export const possible = (viewer) => typeof sceneOf(viewer)?.traverse === 'function';

export function draw(viewer, wired) {
  const scene = sceneOf(viewer);
  scene?.traverse((node) => {
    if (!node.isMesh || node.name === 'ShadowPlane') return;
    for (const material of [node.material].flat()) if ('wireframe' in material && material.isMeshStandardMaterial) material.wireframe = wired;
  });
  scene?.queueRender?.();
}
