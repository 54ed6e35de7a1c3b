// Numbers, sizes, money and times as people read them.

const whole = new Intl.NumberFormat('en');

export const number = (value) => whole.format(value);

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

// The first few names of files, and how many more there are.
export function names(files) {
  const shown = files.slice(0, 3).map((file) => file.name).join(', ');
  return files.length > 3 ? `${shown} and ${number(files.length - 3)} more` : shown;
}

export function bytes(size) {
  if (size === null || size === undefined) return '';
  const units = ['B', 'KB', 'MB', 'GB'];
  const step = size > 0 ? Math.min(3, Math.floor(Math.log10(size) / 3)) : 0;
  const value = size / 1000 ** step;
  return `${value.toFixed(step && value < 100 ? 1 : 0)} ${units[step]}`;
}

export function usd(value) {
  if (value === null || value === undefined) return '';
  if (value > 0 && value < 0.01) return `$${value.toFixed(4)}`;
  return `$${value.toFixed(2)}`;
}

// Seconds as `8 s`, `1:20 min`, `2:05 h`.
export function seconds(value) {
  const total = Math.max(0, Math.round(value));
  if (total < 60) return `${total}\u00a0s`;
  const [large, small, unit] = total < 3600 ? [total / 60, total % 60, 'min'] : [total / 3600, (total % 3600) / 60, 'h'];
  return `${Math.floor(large)}:${String(Math.floor(small)).padStart(2, '0')} ${unit}`;
}

export function between(from, to) {
  return from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : null;
}

const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });

export function moment(text) {
  if (!text) return '';
  const date = new Date(text);
  const today = date.toDateString() === new Date().toDateString();
  return today ? `today, ${timeOnly.format(date)}` : dayAndTime.format(date);
}
