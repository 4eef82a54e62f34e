/** What the page says while there is nothing to show. */

import { t } from "../language/language";
import { byId, setText } from "./dom";

export class Empty {
  /** Shows the page or what to do to get one. Whether the page has just come into sight. */
  show(nothing: boolean, reachable: boolean): boolean {
    const content = byId("content");
    const came = content.hidden && !nothing;
    content.hidden = nothing;
    byId("empty").hidden = !nothing;
    setText(byId("empty-title"), t(reachable ? "empty.waiting" : "empty.unreachable"));
    setText(byId("empty-text"), t(reachable ? "empty.start" : "empty.again"));
    setText(byId("empty-command").firstElementChild!, reachable ? "greenscope run app.py" : "greenscope serve");
    return came;
  }

  showNoLanes(none: boolean, search: string): void {
    const text = byId("no-lanes");
    text.hidden = !none;
    setText(text, search.trim() === "" ? t("empty.lanes") : t("empty.lanes.search", { search }));
  }
}
