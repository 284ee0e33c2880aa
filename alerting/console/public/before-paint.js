// Sets theme and language before the first paint, so that nothing flashes. A file of its own, since
// the Content-Security-Policy allows no inline script.
(() => {
  const root = document.documentElement;
  let theme = 'auto';
  try {
    theme = localStorage.getItem('citywatch.theme') || theme;
    root.lang = localStorage.getItem('citywatch.language') === 'en' ? 'en' : 'vi';
  } catch {
    // Storage may be forbidden: the defaults hold.
  }
  const dark = theme === 'dark' || (theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light');
})();
