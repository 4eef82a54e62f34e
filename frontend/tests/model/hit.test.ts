import { describe, expect, it } from "vitest";
import { neighbour, rowAt, segmentAt } from "../../src/model/hit";
import { Track } from "../../src/model/segments";
import { OPEN } from "../../src/protocol/messages";

function track(): Track {
  const track = new Track();
  track.push(0, 1000, 2, 1, 0);
  track.push(1000, 1004, 0, 0, 0);
  track.push(1004, 2000, 2, 1, 0);
  track.push(2500, 3000, 2, 3, OPEN);
  return track;
}

describe("what is under the pointer", () => {
  it("is the span at that time", () => {
    expect(segmentAt(track(), 500, 1)).toBe(0);
    expect(segmentAt(track(), 1500, 1)).toBe(2);
  });

  it("is the thin span beside it, where that is what one sees", () => {
    expect(segmentAt(track(), 990, 10)).toBe(1);
    expect(segmentAt(track(), 950, 10)).toBe(0);
  });

  it("is nothing in a gap", () => {
    expect(segmentAt(track(), 2200, 1)).toBe(-1);
  });

  it("is a span that still goes on, beyond what has been said of it", () => {
    expect(segmentAt(track(), 3000, 1)).toBe(3);
  });
});

it("a row is found where the lanes have been scrolled", () => {
  expect(rowAt(10, 0, 22, 5)).toBe(0);
  expect(rowAt(10, 100, 22, 9)).toBe(5);
  expect(rowAt(200, 0, 22, 5)).toBeNull();
  expect(rowAt(-1, 0, 22, 5)).toBeNull();
});

it("the neighbours of a span are the one before and the one after, over gaps too", () => {
  expect(neighbour(track(), 500, 1)?.start).toBe(1000);
  expect(neighbour(track(), 1500, -1)?.start).toBe(1000);
  expect(neighbour(track(), 2200, 1)?.start).toBe(2500);
  expect(neighbour(track(), 2200, -1)?.start).toBe(1004);
  expect(neighbour(track(), 500, -1)).toBeNull();
});
