/** The words of index.html, which has only their keys, and the switch to the other language. */

import { language, named, t, type Language } from "../language/language";
import { byId } from "./dom";

const KEY = "greenscope.language";
const TAB = "greenscope.tab";
const OTHER: Readonly<Record<Language, Language>> = { en: "zh", zh: "en" };
const CODES: Readonly<Record<Language, string>> = { en: "en", zh: "zh-CN" };

/** From which attribute of index.html which other is filled in. */
export const ATTRIBUTES = {
  "data-t-label": "aria-label",
  "data-t-role": "aria-roledescription",
  "data-t-placeholder": "placeholder",
} as const;

/** Fills in what has a `data-t` (its text), a `data-t-label` (its aria-label) and so on. */
export function fillPage(): void {
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = named(node.getAttribute("data-t"));
  for (const [from, to] of Object.entries(ATTRIBUTES)) {
    for (const node of document.querySelectorAll(`[${from}]`)) node.setAttribute(to, named(node.getAttribute(from)));
  }
}

/** The switch. The page is loaded again, at the same address and tab: views ask for their words once. */
export function listenLanguage(): void {
  const button = byId("language");
  const other = OTHER[language];
  button.textContent = t("language.other");
  button.title = t("language.switch");
  button.lang = CODES[other];
  button.addEventListener("click", () => {
    try {
      localStorage.setItem(KEY, other);
      sessionStorage.setItem(TAB, document.querySelector('[role="tab"][aria-selected="true"]')?.id ?? "");
    } catch {
      // Without storage, the language is the browser's.
      return;
    }
    const address = new URL(location.href);
    address.searchParams.delete("lang"); // what was chosen now counts for more than what the address asked for
    history.replaceState(history.state, "", address);
    location.reload();
  });
}

/** Chooses the tab that was open when the language was changed. */
export function openTabAgain(): void {
  try {
    const tab = sessionStorage.getItem(TAB);
    sessionStorage.removeItem(TAB);
    if (tab) document.getElementById(tab)?.click();
  } catch {
    // There is none, then.
  }
}
