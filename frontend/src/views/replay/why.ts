/** Why a switch happened: what led to it, followed backward; each cause is a step one can go to. */

import { t } from "../../language/language";
import type { Cause } from "../../protocol/replay";
import { el, setText } from "../dom";

export interface WhyEvents {
  go(step: number): void;
  close(): void;
}

export class Why {
  readonly root: HTMLElement;
  private readonly title = el("h3", {});
  private readonly list = el("ol", { class: "causes" });
  private readonly note = el("p", { class: "hint" });
  private shown = "";

  constructor(private readonly events: WhyEvents) {
    const close = el("button", { class: "button icon small", "aria-label": t("replay.why.close") }, "×");
    close.addEventListener("click", () => events.close());
    this.root = el("div", { class: "card replay-why", id: "replay-why", role: "region", "aria-label": t("replay.why"), hidden: true }, el("div", { class: "side-head" }, this.title, close), this.list, this.note);
  }

  /**
   * @param of the step that is asked about; null: none
   * @param causes null: they have not come yet
   * @param step where one is now
   */
  show(of: number | null, causes: readonly Cause[] | null, failed: string | null, step: number): void {
    this.root.hidden = of === null;
    if (of === null) return;
    setText(this.title, t("replay.why.title", { step: of }));
    const note = failed !== null ? t("replay.why.failed", { why: failed }) : causes === null ? t("replay.why.reading") : causes.length === 0 ? t("replay.why.none") : "";
    setText(this.note, note);
    const key = JSON.stringify([of, causes]);
    if (key !== this.shown) {
      this.shown = key;
      this.list.replaceChildren(...(causes ?? []).map((cause) => this.cause(cause)));
    }
    for (const button of this.list.querySelectorAll("button")) {
      if (button.dataset["step"] === String(step)) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    }
  }

  focus(): void {
    (this.list.querySelector("button") ?? this.root.querySelector("button"))?.focus();
  }

  private cause({ step, words }: Cause): HTMLElement {
    const button = el("button", { class: "cause", "data-step": step }, el("span", { class: "cause-step" }, String(step)), el("span", {}, words));
    button.addEventListener("click", () => this.events.go(step));
    return el("li", {}, button);
  }
}
