/** The overlay that lists every key and gesture. */

import { byId, el } from "./dom";

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    "Move",
    [
      ["W S", "zoom in, out"],
      ["A D", "pan left, right"],
      ["0", "the whole recording"],
      ["F", "fit the selected finding, stall, span or request"],
      ["L", "back to live"],
      ["Space", "pause, resume"],
    ],
  ],
  [
    "Find",
    [
      ["/", "search by name, file, fd or peer"],
      ["[ ]", "the finding before, after, worst first"],
      ["1 2 3 4 5", "timeline, greenlets, stalls, profile, requests"],
      ["Esc", "close, clear the selection"],
    ],
  ],
  [
    "In the lanes",
    [
      ["← →", "previous, next span"],
      ["↑ ↓", "lane above, below"],
      ["Enter", "select the span"],
      ["PgUp PgDn", "scroll the lanes"],
    ],
  ],
  [
    "In the requests",
    [
      ["↑ ↓", "request above, below"],
      ["Enter", "open it"],
      ["Esc", "back to all of them"],
    ],
  ],
  [
    "Pointer",
    [
      ["Wheel", "zoom around the pointer"],
      ["Shift Wheel", "pan"],
      ["Drag", "pan, scroll"],
      ["Shift Drag", "choose a window"],
      ["Wheel\u00a0on\u00a0names", "scroll the lanes"],
      ["Click", "select a span"],
    ],
  ],
];

export class Help {
  private readonly dialog = byId<HTMLDialogElement>("help");

  constructor() {
    const close = el("button", { class: "button icon", "aria-label": "Close help" }, "×");
    close.addEventListener("click", () => this.dialog.close());
    this.dialog.append(
      el("div", { class: "side-head" }, el("h2", { id: "help-title" }, "Keys and gestures"), close),
      el(
        "div",
        { class: "help-grid" },
        ...KEYS.map(([title, keys]) =>
          el(
            "section",
            {},
            el("h3", {}, title),
            el(
              "dl",
              {},
              ...keys.flatMap(([key, what]) => [
                el("dt", {}, ...key.split(" ").map((k) => el("kbd", {}, k))),
                el("dd", {}, what),
              ]),
            ),
          ),
        ),
      ),
      el(
        "p",
        { class: "hint" },
        "A lane's colour and height say what its greenlet does. Green runs, yellow is ready and waits for the hub, thin lines wait. Hatched vermilion held the hub for too long: everything yellow beneath it is late because of it.",
      ),
    );
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    byId("help-open").addEventListener("click", () => this.toggle());
  }

  toggle(): void {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }

  get open(): boolean {
    return this.dialog.open;
  }
}
