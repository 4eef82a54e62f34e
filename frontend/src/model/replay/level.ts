/** What is to be known of a recording as a whole: what its level does not tell, and what is missing. */

import { t } from "../../language/language";
import type { Overview } from "../../protocol/replay";
import { count } from "../format";

/** What makes a recording of every step. */
export const OPTION = "--detail teach";

export function levelText({ detail, lost, first }: Overview): string {
  const parts: string[] = [];
  if (detail === "switch") parts.push(t("replay.level.switch", { option: OPTION }));
  if (detail === "io") parts.push(t("replay.level.io", { option: OPTION }));
  if (lost > 0) parts.push(t("replay.lost", { count: count(lost) }));
  if (first > 0) parts.push(t("replay.first", { count: count(first) }));
  return parts.join(" ");
}
