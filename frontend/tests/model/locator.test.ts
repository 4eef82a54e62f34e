import { describe, expect, it } from "vitest";
import { Locator } from "../../src/model/locator";
import type { Lanes } from "../../src/protocol/messages";

function lanes(first: number, count: number, total: number): Lanes {
  const listed = Array.from({ length: count }, (_, i) => ({ id: 1000 + first + i, name: "x", alive: true }));
  return { type: "lanes", total, first, lanes: listed };
}

describe("looking for a lane", () => {
  it("goes through the lanes until it is listed", () => {
    const locator = new Locator();
    locator.look(1450, false, 0);
    expect(locator.lookFrom).toBe(0);
    expect(locator.came(lanes(0, 200, 500), 1)).toBeNull();
    expect(locator.lookFrom).toBe(200);
    expect(locator.came(lanes(200, 200, 500), 2)).toBeNull();
    expect(locator.came(lanes(400, 100, 500), 3)).toBe(450);
    expect(locator.lookFrom).toBeNull();
  });

  it("is not misled by lanes that were on their way", () => {
    const locator = new Locator();
    locator.look(1450, false, 0);
    locator.came(lanes(0, 200, 500), 1);
    expect(locator.came(lanes(30, 40, 500), 2)).toBeNull();
    expect(locator.lookFrom).toBe(200);
  });

  it("follows the lane when the window that has just changed lists others", () => {
    const locator = new Locator();
    locator.look(1005, true, 0);
    expect(locator.lookFrom).toBeNull();
    expect(locator.came(lanes(0, 30, 90), 5)).toBe(5);
    expect(locator.came(lanes(0, 30, 90), 9000)).toBeNull();
  });

  it("ends when there is no such lane", () => {
    const locator = new Locator();
    locator.look(7, false, 0);
    locator.came(lanes(0, 20, 20), 1);
    expect(locator.lookFrom).toBeNull();
  });

  it("gives up after a while", () => {
    const locator = new Locator();
    locator.look(7, false, 0);
    expect(locator.expire(100)).toBe(false);
    expect(locator.expire(5000)).toBe(true);
    expect(locator.lookFrom).toBeNull();
  });
});
