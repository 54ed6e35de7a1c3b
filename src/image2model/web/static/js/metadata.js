// The caller's own data on jobs and pictures: shown as it is, and looked for as `sku=A-1&shop=berlin`.

const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

export const rows = (metadata) => Object.entries(metadata || {}).map(([name, value]) => [name, text(value)]);

// The pairs of what was typed; what has no `=` yet is none.
export function parsed(typed) {
  const parts = typed.split('&').map((part) => part.split(/=(.*)/s, 2));
  return parts.filter((pair) => pair.length > 1).map(([name, value]) => [name.trim(), value.trim()]);
}

// Whether each pair is in the picture's metadata or in its job's.
export const has = (picture, pairs) =>
  pairs.every(([name, value]) => [picture.metadata, picture.job.metadata].some((one) => rows(one).some((row) => row[0] === name && row[1] === value)));
