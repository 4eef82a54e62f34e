/** What a frame of a large recording costs: `npm run bench`. Compare runs on one machine; no test asserts times. */

import { bench } from "vitest";
import { Track } from "../../src/model/segments";
import { laneColumns } from "../../src/plot/raster";

const SPANS = 4000;
const track = new Track();
for (let i = 0; i < SPANS; i++) track.push(i * 10, i * 10 + 10, i % 3, 1, 0);
const columns = new Uint8Array(2200);
const scale = { from: 0, pixel: (SPANS * 10) / columns.length, width: columns.length, least: 2, now: 0 };

bench("two hundred lanes of four thousand spans", () => {
  for (let lane = 0; lane < 200; lane++) laneColumns(track, scale, false, columns);
});
