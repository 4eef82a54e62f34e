/** The five figures over the timeline. */

import { counted, t } from "../language/language";
import * as format from "../model/format";
import { latency } from "../model/hub";
import { isGone } from "../model/stalls";
import type { Stall, Status } from "../protocol/messages";
import { byId, el, setText } from "./dom";

interface Card {
  root: HTMLElement;
  title: HTMLElement;
  value: HTMLElement;
  unit: HTMLElement;
  note: HTMLElement;
}

export class Cards {
  private readonly stall: Card;
  private readonly latency: Card;
  private readonly greenlets: Card;
  private readonly switches: Card;
  private readonly ring: Card;
  private longest: Stall | null = null;

  constructor(showStall: (stall: Stall) => void) {
    const root = byId("cards");
    const make = (title: string, id: string, button = false): Card => {
      const head = el("span", { class: "title" }, title);
      const value = el("span", { class: "figure" }, "–");
      const unit = el("span", { class: "unit" });
      const note = el("span", { class: "note" }, "\u00a0");
      const card = el(
        button ? "button" : "div",
        { class: "card figure-card", id: `card-${id}` },
        head,
        el("span", { class: "amount" }, value, unit),
        note,
      );
      root.append(card);
      return { root: card, title: head, value, unit, note };
    };
    this.stall = make(t("card.stall"), "stall", true);
    this.latency = make(t("card.latency"), "latency");
    this.greenlets = make(t("card.greenlets"), "greenlets");
    this.switches = make(t("card.switches"), "switches");
    this.ring = make(t("card.ring"), "ring");
    this.stall.root.addEventListener("click", () => {
      if (this.longest !== null) showStall(this.longest);
    });
  }

  show(status: Status, started: number): void {
    this.longest = status.longest_stall;
    const { longest } = this;
    this.stall.root.classList.toggle("alarm", longest !== null);
    (this.stall.root as HTMLButtonElement).disabled = longest === null || isGone(longest, status.begin);
    if (longest === null) fill(this.stall, t("card.stall.none"), "", t("card.stall.over", { duration: format.duration(status.stall_threshold) }));
    else {
      const { value, unit } = format.durationParts(longest.duration);
      const when = isGone(longest, status.begin) ? t("card.stall.gone") : t("span.at", { moment: format.moment(longest.start, 2, started) });
      fill(this.stall, value, unit, `${longest.name} · ${when}`);
    }

    const late = latency(status);
    const figure = format.durationParts(late.ns);
    this.latency.root.classList.toggle("warn", late.ns > status.stall_threshold && status.stall_threshold > 0);
    setText(this.latency.title, t(late.now ? "card.latency.now" : "card.latency"));
    fill(this.latency, figure.value, figure.unit, late.note);

    this.greenlets.root.classList.toggle("warn", status.waiting_long > 0);
    const waiting = t("card.greenlets.waiting", { count: format.count(status.waiting_long) });
    fill(this.greenlets, format.count(status.greenlets), t("card.greenlets.hub"), waiting);

    const rate = format.rateParts(status.switches_per_second);
    const slice = status.mean_slice > 0 ? t("card.switches.slice", { duration: format.duration(status.mean_slice) }) : t("card.switches.none");
    fill(this.switches, rate.value, rate.unit, slice);

    const share = status.ring_capacity > 0 ? status.ring_used / status.ring_capacity : 0;
    this.ring.root.style.setProperty("--share", share.toFixed(3));
    const used = t("card.ring.used", { used: format.count(status.ring_used), capacity: format.count(status.ring_capacity) });
    const live = share >= 1 ? t("card.ring.full") : used;
    const note = status.state === "live" ? live : counted("card.ring.recorded", status.events);
    fill(this.ring, format.percent(share), "%", note);
  }
}

function fill(card: Card, value: string, unit: string, note: string): void {
  setText(card.value, value);
  setText(card.unit, unit);
  setText(card.note, note);
  card.note.title = note;
}
