/** The top bar: which recording, whether it is live, what was lost; and the banner for what must be seen. */

import { t } from "../language/language";
import * as format from "../model/format";
import { blocker, deathText } from "../model/hub";
import type { Ring, Running, Status } from "../protocol/messages";
import { announce, byId, el, setText } from "./dom";

export interface Liveness {
  status: Status | null;
  reachable: boolean;
  paused: boolean;
  following: boolean;
  ring: Ring | null;
  /** The viewer answers, but no longer lists this recording. */
  gone: boolean;
}

/** What the window's title begins with. */
const TITLES = {
  died: `✝ ${t("title.died")} · `,
  ended: `${t("title.ended")} · `,
  snapshot: `${t("title.snapshot")} · `,
  unreachable: "… ",
  live: "",
  waiting: "",
} as const;

const SAID: Readonly<Record<string, string>> = {
  live: t("said.live"),
  paused: t("said.paused"),
  ended: t("said.ended"),
  snapshot: t("said.snapshot"),
};

/** A block shorter than this is seen, but not said: it is over before the words are. */
const SAID_FROM_NS = 1e9;

export class Header {
  private readonly pill = byId("live-pill");
  private readonly text = byId("live-text");
  private readonly banner = byId("banner");
  private readonly pauseButton = byId<HTMLButtonElement>("pause");
  private readonly chooser = byId<HTMLSelectElement>("ring");
  private rings = "";
  private said = "";
  private saidBlock = "";

  constructor(private readonly choose: (ring: string) => void) {
    this.chooser.addEventListener("change", () => this.choose(this.chooser.value));
  }

  show({ status, reachable, paused, following, ring, gone }: Liveness): void {
    const state = ring === null ? "waiting" : !reachable ? "unreachable" : (status?.state ?? "waiting");
    const blocked = state === "live" && !paused ? blocker(status) : null;
    const shown = blocked !== null ? "blocked" : state === "live" && paused ? "paused" : state;
    this.pill.dataset["state"] = shown;
    const lost = status === null ? 0 : status.lost;
    this.pill.classList.toggle("lossy", lost > 0);
    setText(
      this.text,
      blocked !== null ? t("header.blocked", { duration: format.duration(blocked.duration), name: blocked.name }) : pillText(shown, status),
    );
    this.pill.title =
      blocked !== null
        ? t("header.blocked.why", { name: blocked.name })
        : lost > 0
          ? t("header.lossy", { count: format.count(lost) })
          : "";
    this.showBanner(state, gone, status);
    this.pauseButton.setAttribute("aria-pressed", String(paused));
    setText(byId("pause-text"), t(paused ? "page.resume" : "page.pause"));
    this.pauseButton.disabled = state !== "live" && !paused;
    byId("back-to-live").hidden = following || paused || state !== "live";

    const name = ring === null ? "greenscope" : `${format.commandName(ring.argv)} · greenscope`;
    const before = TITLES[state];
    const title = `${before}${lost > 0 ? `${lostText(lost)} · ` : ""}${name}`;
    if (document.title !== title) document.title = title;
    if (blocked !== null) this.announceBlock(blocked);
    else this.announceState(shown);
  }

  /** The chooser appears when there is a choice; one recording is only named. */
  showRings(rings: readonly Ring[], current: Ring | null): void {
    const key = JSON.stringify([rings.map((ring) => [ring.id, ring.state]), current?.id]);
    if (key === this.rings) return;
    this.rings = key;
    byId("ring-label").hidden = rings.length < 2;
    const process = byId("process");
    process.hidden = rings.length !== 1;
    if (current !== null) {
      setText(process, `${ringName(current)}`);
      process.title = commandText(current);
    }
    this.chooser.replaceChildren(
      ...rings.map((ring) =>
        el(
          "option",
          { value: ring.id, selected: ring.id === current?.id, title: commandText(ring) },
          `${ring.state === "live" ? "● " : ring.state === "died" ? "✝ " : "○ "}${ringChoice(ring)}`,
        ),
      ),
    );
    if (current === null) return;
    this.chooser.value = current.id;
    this.chooser.title = `${ringChoice(current)}\n${commandText(current)}`;
  }

  private showBanner(state: string, gone: boolean, status: Status | null): void {
    const text = state === "died" ? deathText(status) : state !== "unreachable" ? "" : t(gone ? "header.gone" : "header.unreachable");
    this.banner.dataset["state"] = state;
    this.banner.hidden = text === "";
    setText(this.banner, text);
  }

  /** Once for each time that one blocks the hub. */
  private announceBlock({ greenlet, name, since, duration }: Running): void {
    const key = `${greenlet} ${since}`;
    if (duration < SAID_FROM_NS || key === this.saidBlock) return;
    this.saidBlock = key;
    announce(t("header.blocks", { name }));
  }

  private announceState(state: string): void {
    if (state === this.said) return;
    this.said = state;
    const words = SAID[state];
    if (words !== undefined) announce(words);
  }
}

function lostText(count: number): string {
  return t("header.lost", { count: format.count(count) });
}

function commandText({ argv, host }: Ring): string {
  return t("header.on", { command: argv.join(" "), host });
}

function pillText(state: string, status: Status | null): string {
  const lost = status === null ? "" : ` · ${lostText(status.lost)}`;
  const count = format.count(status?.events ?? 0);
  const rate = format.count(status?.events_per_second ?? 0);
  switch (state) {
    case "live":
      return `${t("pill.live", { rate })}${lost}`;
    case "paused":
      return `${t("pill.paused", { rate })}${lost}`;
    case "ended":
      return `${t("pill.ended", { count })}${lost}`;
    case "snapshot":
      return `${t("pill.snapshot", { count })}${lost}`;
    case "died":
      return `${t("pill.died")}${lost}`;
    case "unreachable":
      return t("pill.unreachable");
    default:
      return t("pill.waiting");
  }
}

/** What tells one ring from another comes first: rings of one process differ by their thread and hub. */
function ringChoice(ring: Ring): string {
  const thread = ring.thread === "" ? "" : `${ring.thread} · `;
  return `${thread}hub ${ring.hub} · ${format.commandName(ring.argv)} · pid ${ring.pid}`;
}

function ringName(ring: Ring): string {
  const thread = ring.thread === "MainThread" || ring.thread === "" ? "" : ` · ${ring.thread}`;
  return `${format.commandName(ring.argv)} · pid ${ring.pid} · hub ${ring.hub}${thread}`;
}
