// Runs before the first paint: the language that the address asks for (?lang=zh), that was chosen, that a lesson's page
// was saved in, or the first of the browser's that there is.
// It is asked for here and nowhere else; src/language/language.ts reads it off the page.
(() => {
  const CODES = { en: "en", zh: "zh-CN" };
  const asked = new URLSearchParams(location.search).get("lang");
  let choice = null;
  try {
    choice = localStorage.getItem("greenscope.language");
  } catch {
    // A page without storage follows the browser.
  }
  const saved = document.documentElement.dataset?.lang;
  const wanted = [asked, choice, saved, ...navigator.languages].map((each) => String(each).toLowerCase().split("-")[0]);
  document.documentElement.lang = CODES[wanted.find((each) => Object.hasOwn(CODES, each)) ?? "en"];
})();
