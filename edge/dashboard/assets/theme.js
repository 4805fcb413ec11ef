// Runs before the first paint, so that a remembered theme does not flash.
(() => {
  const remembered = () => {
    try {
      return localStorage.getItem("nearcast-theme");
    } catch {
      return null; // Storage may be forbidden; the system's theme is then the only one.
    }
  };
  const theme = remembered();
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
})();
