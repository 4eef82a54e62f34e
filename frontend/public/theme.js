// Runs before the first paint, so that the page does not flash in the other theme.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem("greenscope.theme");
  } catch {
    // A page without storage follows the system.
  }
  const dark = choice === "dark" || (choice !== "light" && !matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
