// Runs before the first paint, so that a chosen theme does not flash. `js/theme.js` does the rest.
try {
  const chosen = localStorage.getItem('theme');
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  document.documentElement.dataset.theme = ''; // storage is switched off: the system's theme it is
}
