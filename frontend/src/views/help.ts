/** The overlay that lists every key and gesture. */

import { t } from "../language/language";
import { byId, el } from "./dom";

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    t("help.move"),
    [
      ["W S", t("help.zoom")],
      ["A D", t("help.pan")],
      ["0", t("help.whole")],
      ["F", t("help.fit")],
      ["L", t("help.live")],
      [t("key.space"), t("help.pause")],
    ],
  ],
  [
    t("help.find"),
    [
      ["/", t("help.search")],
      ["[ ]", t("help.findings")],
      ["1 2 3 4 5 6", t("help.tabs")],
      ["Esc", t("help.clear")],
    ],
  ],
  [
    t("help.lanes"),
    [
      ["← →", t("help.spans")],
      ["↑ ↓", t("help.rows")],
      ["Enter", t("help.select")],
      ["PgUp PgDn", t("help.scroll")],
    ],
  ],
  [
    t("help.requests"),
    [
      ["↑ ↓", t("help.request")],
      ["Enter", t("help.open")],
      ["Esc", t("help.back")],
    ],
  ],
  [
    t("help.replay"),
    [
      ["← →", t("help.replay.event")],
      ["Shift ← →", t("help.replay.switch")],
      ["R", t("help.replay.again")],
      ["Home End", t("help.replay.ends")],
      [t("key.space"), t("help.replay.play")],
      ["W", t("help.replay.why")],
      ["N P", t("help.lesson")],
    ],
  ],
  [
    t("help.pointer"),
    [
      [t("key.wheel"), t("help.wheel.zoom")],
      [t("key.shift_wheel"), t("help.wheel.pan")],
      [t("key.drag"), t("help.drag")],
      [t("key.shift_drag"), t("help.choose")],
      [t("key.wheel_on_names"), t("help.scroll")],
      [t("key.click"), t("help.click")],
    ],
  ],
];

export class Help {
  private readonly dialog = byId<HTMLDialogElement>("help");

  constructor() {
    const close = el("button", { class: "button icon", "aria-label": t("help.close") }, "×");
    close.addEventListener("click", () => this.dialog.close());
    this.dialog.append(
      el("div", { class: "side-head" }, el("h2", { id: "help-title" }, t("help.title")), close),
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
        t("help.about"),
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
