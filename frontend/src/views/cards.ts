/** The five figures over the timeline. */

import * as format from "../model/format";
import type { Stall, Status } from "../protocol/messages";
import { byId, el, setText } from "./dom";

interface Card {
  root: HTMLElement;
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
      const value = el("span", { class: "figure" }, "–");
      const unit = el("span", { class: "unit" });
      const note = el("span", { class: "note" }, "\u00a0");
      const card = el(
        button ? "button" : "div",
        { class: "card figure-card", id: `card-${id}` },
        el("span", { class: "title" }, title),
        el("span", { class: "amount" }, value, unit),
        note,
      );
      root.append(card);
      return { root: card, value, unit, note };
    };
    this.stall = make("Longest stall", "stall", true);
    this.latency = make("Hub latency p99", "latency");
    this.greenlets = make("Greenlets", "greenlets");
    this.switches = make("Switches", "switches");
    this.ring = make("Ring buffer", "ring");
    this.stall.root.addEventListener("click", () => {
      if (this.longest !== null) showStall(this.longest);
    });
  }

  show(status: Status): void {
    this.longest = status.longest_stall;
    const { longest } = this;
    this.stall.root.classList.toggle("alarm", longest !== null);
    (this.stall.root as HTMLButtonElement).disabled = longest === null;
    if (longest === null) fill(this.stall, "none", "", `over ${format.duration(status.stall_threshold)}`);
    else {
      const { value, unit } = format.durationParts(longest.duration);
      fill(this.stall, value, unit, `${longest.name} · at ${format.time(longest.start, 2)}`);
    }

    const p99 = format.durationParts(status.latency_p99);
    const late = status.latency_p99 > status.stall_threshold && status.stall_threshold > 0;
    this.latency.root.classList.toggle("warn", late);
    const pending = status.latency_now > 1e6 ? `now ${format.duration(status.latency_now)} late` : "ready until it runs, 10 s";
    fill(this.latency, p99.value, p99.unit, pending);

    this.greenlets.root.classList.toggle("warn", status.waiting_long > 0);
    fill(this.greenlets, format.count(status.greenlets), "+ hub", `${format.count(status.waiting_long)} waiting > 5 s, no deadline`);

    const rate = format.rateParts(status.switches_per_second);
    fill(this.switches, rate.value, rate.unit, status.mean_slice > 0 ? `mean slice ${format.duration(status.mean_slice)}` : "none of late");

    const share = status.ring_capacity > 0 ? status.ring_used / status.ring_capacity : 0;
    this.ring.root.style.setProperty("--share", share.toFixed(3));
    const full = share >= 1 ? "full: the oldest give way" : `of ${format.count(status.ring_capacity)} records`;
    fill(this.ring, format.percent(share), "%", share >= 1 ? full : `${format.count(status.ring_used)} ${full}`);
  }
}

function fill(card: Card, value: string, unit: string, note: string): void {
  setText(card.value, value);
  setText(card.unit, unit);
  setText(card.note, note);
  card.note.title = note;
}
