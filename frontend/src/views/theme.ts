/** Dark, light, or as the system has it. The choice is remembered; public/theme.js applies it before the first paint. */

import { t } from "../language/language";
import { DARK, LIGHT, type Paint } from "../plot/theme";
import { byId } from "./dom";

type Choice = "auto" | "dark" | "light";

const KEY = "greenscope.theme";
const NEXT: Record<Choice, Choice> = { auto: "dark", dark: "light", light: "auto" };
const ICON: Record<Choice, string> = {
  auto: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.5v11a5.5 5.5 0 0 1 0-11z",
  dark: "M6.2 1.6A6.6 6.6 0 1 0 14.4 9.8 5.4 5.4 0 0 1 6.2 1.6z",
  light:
    "M8 4.7a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6zM7.3.5h1.4v2.4H7.3zM7.3 13.1h1.4v2.4H7.3zM.5 7.3h2.4v1.4H.5zM13.1 7.3h2.4v1.4h-2.4zM2.2 3.2l1-1 1.7 1.7-1 1zM11.1 12.1l1-1 1.7 1.7-1 1zM2.2 12.8l1.7-1.7 1 1-1.7 1.7zM11.1 3.9l1.7-1.7 1 1-1.7 1.7z",
};

export class Theme {
  private choice: Choice = "auto";
  private readonly light = matchMedia("(prefers-color-scheme: light)");

  /** Told of each change. */
  changed: (paint: Paint) => void = () => undefined;

  constructor() {
    try {
      const stored = localStorage.getItem(KEY);
      if (stored === "dark" || stored === "light") this.choice = stored;
    } catch {
      // A page without storage follows the system.
    }
    byId("theme").addEventListener("click", () => this.choose(NEXT[this.choice]));
    this.light.addEventListener("change", () => this.apply());
    this.apply();
  }

  get paint(): Paint {
    const dark = this.choice === "auto" ? !this.light.matches : this.choice === "dark";
    return dark ? DARK : LIGHT;
  }

  private choose(choice: Choice): void {
    this.choice = choice;
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // It holds for this page, then.
    }
    this.apply();
  }

  private apply(): void {
    document.documentElement.dataset["theme"] = this.paint.dark ? "dark" : "light";
    const button = byId("theme");
    button.title = t(`theme.${this.choice}`);
    button.setAttribute("aria-label", button.title);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", ICON[this.choice]);
    path.setAttribute("fill", "currentColor");
    svg.append(path);
    button.replaceChildren(svg);
    this.changed(this.paint);
  }
}
