// The light that falls on a model: two environments of the viewer's own, and gradients that are drawn here.

export const LIGHTS = { neutral: 'Neutral', legacy: 'Studio', warm: 'Warm', cool: 'Cool' };
const SKIES = { warm: ['#fff2d8', '#ffb56b', '#5a2f1c'], cool: ['#eef6ff', '#7fb2ff', '#1c2a4a'] };
const drawn = new Map();

export function environment(name) {
  if (!SKIES[name]) return name;
  if (!drawn.has(name)) drawn.set(name, sky(SKIES[name]));
  return drawn.get(name);
}

// An equirectangular picture: bright above, a lamp at one side, dark below.
function sky(colours) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 256, height: 128 });
  const pen = canvas.getContext('2d');
  const fall = pen.createLinearGradient(0, 0, 0, 128);
  colours.forEach((colour, place) => fall.addColorStop(place / 2, colour));
  pen.fillStyle = fall;
  pen.fillRect(0, 0, 256, 128);
  const lamp = pen.createRadialGradient(80, 36, 2, 80, 36, 34);
  lamp.addColorStop(0, '#ffffff');
  lamp.addColorStop(1, 'transparent');
  pen.fillStyle = lamp;
  pen.fillRect(0, 0, 256, 128);
  return canvas.toDataURL('image/png');
}
