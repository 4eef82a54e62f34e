/** The table of greenlets: what a column sorts by, and which rows match. */

import { Wait } from "../protocol/events";
import { State, type Row } from "../protocol/messages";
import { siteText } from "./format";
import { lookOf } from "./looks";

export type Column = "name" | "state" | "on" | "site" | "since" | "deadline" | "switches" | "run_time";

export interface Order {
  column: Column;
  descending: boolean;
}

/** What a row waits on, in words: "fd 7 · 127.0.0.1:5432". */
export function waitingOn(row: Pick<Row, "reason" | "fd" | "peer" | "resource" | "alive" | "exit">): string {
  if (!row.alive) return row.exit ?? "";
  const fd = row.fd === null ? "" : `fd ${row.fd}`;
  if (row.peer) return fd === "" ? row.peer : `${fd} · ${row.peer}`;
  if (fd !== "") return fd;
  return resourceText(row.reason, row.resource);
}

const RESOURCES: Readonly<Record<number, string>> = {
  [Wait.LOCK]: "lock",
  [Wait.QUEUE]: "queue",
  [Wait.EVENT]: "event",
};

/** "lock #5"; the number of anything else (a timer's, say) tells nobody anything. */
export function resourceText(reason: number, resource: number | null): string {
  const kind = RESOURCES[reason];
  return resource === null || kind === undefined ? "" : `${kind} #${resource}`;
}

/** Where it is. Of one that runs, only the line it went on from is known. */
export function lineText(row: Row): string {
  if (row.site === null) return "";
  const line = [siteText(row.site), row.site.function].join(" ").trim();
  return row.alive && (row.state === State.RUNNING || row.state === State.STALLED) ? `since ${line}` : line;
}

function key(row: Row, column: Column): number | string {
  switch (column) {
    case "name":
      return row.name;
    case "state":
      return row.alive ? 100 - lookOf(row.state, row.reason) : 1000;
    case "on":
      return waitingOn(row);
    case "site":
      return siteText(row.site);
    case "since":
      return row.since;
    case "deadline":
      return row.deadline ?? Infinity;
    default:
      return row[column];
  }
}

const text = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** The rows in order; equal ones, and those of the same name, by id, so that nothing jumps about. */
export function sorted(rows: readonly Row[], order: Order): Row[] {
  const sign = order.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = key(a, order.column);
    const y = key(b, order.column);
    const compared = typeof x === "string" ? text.compare(x, y as string) : x === y ? 0 : x - (y as number);
    return compared * sign || a.id - b.id;
  });
}

/** The next order when a header is clicked: the same column turns round. */
export function reordered(order: Order, column: Column): Order {
  if (order.column === column) return { column, descending: !order.descending };
  return { column, descending: column === "switches" || column === "run_time" };
}

/** Name, line, peer or fd contain the words; the same rule as the viewer's, for what it has yet to answer. */
export function matches(row: Row, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  if (wanted === "") return true;
  const fields = [row.name, row.site?.file, siteText(row.site), row.site?.function, row.peer, row.label];
  if (row.fd !== null) fields.push(`fd ${row.fd}`, String(row.fd));
  return fields.some((field) => field?.toLowerCase().includes(wanted) ?? false);
}
