/** What the page says while there is nothing to show. */

import { byId, setText } from "./dom";

export class Empty {
  /** Shows the page or what to do to get one. Whether the page has just come into sight. */
  show(nothing: boolean, reachable: boolean): boolean {
    const content = byId("content");
    const came = content.hidden && !nothing;
    content.hidden = nothing;
    byId("empty").hidden = !nothing;
    setText(byId("empty-title"), reachable ? "Waiting for a traced process…" : "The viewer is not reachable");
    setText(
      byId("empty-text"),
      reachable ? "Start one and it appears here by itself:" : "Retrying. If it was stopped, start it again:",
    );
    setText(byId("empty-command").firstElementChild!, reachable ? "greenscope run app.py" : "greenscope serve");
    return came;
  }

  showNoLanes(none: boolean, search: string): void {
    const text = byId("no-lanes");
    text.hidden = !none;
    setText(
      text,
      search.trim() === ""
        ? "No greenlet has anything to show in this window."
        : `No greenlet in this window matches “${search}”.`,
    );
  }
}
