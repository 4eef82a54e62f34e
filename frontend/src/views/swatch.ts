/** A look as a small drawing: the same colour, height, dash and hatch that its lane has. */

import { APPEARANCE, type Look } from "../model/looks";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 16;
const HIGH = 12;

export function swatch(look: Look): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  if (look === 0) return svg;
  const { color, height, dash, hatched } = APPEARANCE[look];
  const tall = Math.max(1.5, height * HIGH);
  const piece = (x: number, width: number): void => {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("x", String(x));
    rect.setAttribute("y", String((HIGH - tall) / 2));
    rect.setAttribute("width", String(width));
    rect.setAttribute("height", String(tall));
    rect.setAttribute("fill", color);
    if (tall > 4) rect.setAttribute("rx", "1.5");
    svg.append(rect);
  };
  if (dash) for (let x = 0; x < WIDE; x += dash[1]) piece(x, Math.min(dash[0], WIDE - x));
  else piece(0, WIDE);
  if (hatched) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", "M2 10L8 2M7 10L13 2M12 10L15.5 5");
    path.setAttribute("class", "swatch-hatch");
    svg.append(path);
  }
  return svg;
}
