/** The table of greenlets: in which order, which rows match, and what they say. */

import { t } from "../language/language";
import { Wait } from "../protocol/events";
import { State, type Column, type Row } from "../protocol/messages";
import { siteText } from "./format";
import { exitName, peerName } from "./labels";

export interface Order {
  column: Column;
  descending: boolean;
}

/** Waiting longest first: what began to wait first. */
export const FIRST_ORDER: Order = { column: "since", descending: false };

/** What a row waits on, in words: "fd 7 · 127.0.0.1:5432". */
export function waitingOn(row: Pick<Row, "reason" | "fd" | "peer" | "resource" | "alive" | "exit">): string {
  if (!row.alive) return row.exit === null ? "" : exitName(row.exit);
  const fd = row.fd === null ? "" : `fd ${row.fd}`;
  if (row.peer) return [fd, peerName(row.peer)].filter(Boolean).join(" · ");
  if (fd !== "") return fd;
  return resourceText(row.reason, row.resource);
}

const RESOURCES: Readonly<Record<number, "resource.lock" | "resource.queue" | "resource.event">> = {
  [Wait.LOCK]: "resource.lock",
  [Wait.QUEUE]: "resource.queue",
  [Wait.EVENT]: "resource.event",
};

/** "lock #5"; the number of anything else (a timer's, say) tells nobody anything. */
export function resourceText(reason: number, resource: number | null): string {
  const key = RESOURCES[reason];
  return resource === null || key === undefined ? "" : t(key, { number: resource });
}

/** Where it is. Of one that runs, only the line it went on from is known. */
export function lineText(row: Row): string {
  if (row.site === null) return "";
  const line = [siteText(row.site), row.site.function].join(" ").trim();
  return row.alive && (row.state === State.RUNNING || row.state === State.STALLED) ? t("table.since_line", { line }) : line;
}

/** The next order when a header is clicked: the same column turns round. */
export function reordered(order: Order, column: Column): Order {
  if (order.column === column) return { column, descending: !order.descending };
  return { column, descending: column === "switches" || column === "run_time" };
}

/** How the column reads from the top. "For" shows how long, so the earliest "since" is its greatest. */
export function reads({ column, descending }: Order): "ascending" | "descending" {
  return descending === (column === "since") ? "ascending" : "descending";
}

/** Name, line, peer or fd contain the words; the same rule as the viewer's, for what it has yet to answer. */
export function matches(row: Row, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  if (wanted === "") return true;
  const fields = [row.name, row.site?.file, siteText(row.site), row.site?.function, row.peer, row.label];
  if (row.fd !== null) fields.push(`fd ${row.fd}`, String(row.fd));
  return fields.some((field) => field?.toLowerCase().includes(wanted) ?? false);
}
