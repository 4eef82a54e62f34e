import { describe, expect, it } from "vitest";
import { requestFor, requestKey, type OnScreen } from "../../src/model/request";

const screen: OnScreen = {
  window: { from: 10e9, to: 20e9, follow: false },
  pixels: 900,
  rows: { first: 40, count: 25 },
  lookFrom: null,
  search: " db ",
  exited: false,
  order: { column: "since", descending: true },
};

describe("what the page asks for", () => {
  it("is the window, with some rows around those on screen", () => {
    expect(requestFor(screen)).toEqual({
      from: 10e9, to: 20e9, follow: false, pixels: 900, first: 32, count: 41, search: "db", exited: false,
      sort: "since", descending: true,
    });
  });

  it("keeps to the protocol's limits", () => {
    const wide = requestFor({ ...screen, pixels: 9000, rows: { first: 0, count: 900 } });
    expect([wide.pixels, wide.count]).toEqual([4000, 200]);
    expect(requestFor({ ...screen, pixels: 3 }).pixels).toBe(50);
  });

  it("is a little more of a narrow window that follows, as finely", () => {
    const request = requestFor({ ...screen, window: { from: 19.7e9, to: 20e9, follow: true } });
    expect(request.to - request.from).toBeCloseTo(0.6e9);
    expect(request.pixels).toBe(1800);
  });

  it("is two hundred lanes while one is looked for", () => {
    expect(requestFor({ ...screen, lookFrom: 400 })).toMatchObject({ first: 400, count: 200 });
  });

  it("is the same for a window that follows, wherever it has got to", () => {
    const at = (to: number): string =>
      requestKey(requestFor({ ...screen, window: { from: to - 10e9, to, follow: true } }));
    expect(at(20e9)).toBe(at(20.0166e9));
    expect(at(20e9 + 1 / 3)).toBe(at(31e9));
    const still = (to: number): string => requestKey(requestFor({ ...screen, window: { from: to - 10e9, to, follow: false } }));
    expect(still(20e9)).not.toBe(still(20.0166e9));
  });
});
