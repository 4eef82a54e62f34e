/** A greenlet as a chip: its mark and its name. The same chip is moved from place to place, so that an eye can follow it. */

import { elided } from "../../model/format";
import type { Mark, Names } from "../../model/replay/marks";
import { el } from "../dom";

const SVG = "http://www.w3.org/2000/svg";
/** Longer names are cut in their middle. */
export const LONGEST = 22;

export function svg(tag: string, attributes: Readonly<Record<string, string | number>> = {}, ...children: Node[]): SVGElement {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** A shape in its colour. */
export function glyph({ shape, colour }: Mark): SVGElement {
  const path = svg("path", { d: shape });
  return svg("svg", { viewBox: "0 0 12 12", class: `glyph ${colour === null ? "of-hub" : `hue-${colour}`}`, "aria-hidden": "true" }, path);
}

/** A chip; `small` is one that is mentioned, and not the greenlet's own. */
export function chip(greenlet: number, names: Names, small = false): HTMLElement {
  const name = names.of(greenlet);
  const short = elided(name, LONGEST);
  // The number tells it from its like, so it is never what there is no room for.
  const at = short.lastIndexOf(" #");
  const [head, number] = at > 0 ? [short.slice(0, at), short.slice(at)] : [short, ""];
  const node = el(
    "span",
    { class: "chip", title: name, "data-of": greenlet, "data-chip": small ? undefined : greenlet },
    el("span", { class: "chip-name" }, head),
    number !== "" && el("span", { class: "chip-number" }, number),
  );
  node.classList.toggle("small", small);
  node.classList.toggle("hub", names.isHub(greenlet));
  node.prepend(glyph(names.mark(greenlet)));
  return node;
}

/** Icons of buttons, drawn in a box of 16 by 16. */
export function icon(path: string): SVGElement {
  return svg("svg", { viewBox: "0 0 16 16", class: "pictogram", "aria-hidden": "true" }, svg("path", { d: path, fill: "currentColor" }));
}
