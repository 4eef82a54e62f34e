import { describe, expect, it } from "vitest";
import { addressOf, parseAddress } from "../../src/model/address";

describe("the page's address", () => {
  it("names a recording, and a request of it", () => {
    expect(parseAddress("#ring=4711-1&request=12")).toEqual({ ring: "4711-1", request: 12, step: null });
    expect(parseAddress("#ring=4711-1")).toEqual({ ring: "4711-1", request: null, step: null });
    expect(parseAddress("#4711-1")).toEqual({ ring: "4711-1", request: null, step: null });
    expect(parseAddress("")).toEqual({ ring: "", request: null, step: null });
  });

  it("is what it was made of", () => {
    for (const address of [{ ring: "a b&c=d+é", request: 7, step: null }, { ring: "4711-1", request: null, step: null }]) {
      expect(parseAddress(addressOf(address))).toEqual(address);
    }
    expect(addressOf({ ring: "4711-1", request: 12, step: null })).toBe("#ring=4711-1&request=12");
  });

  it("may be anything", () => {
    expect(parseAddress("#ring=a&request=-1")).toEqual({ ring: "a", request: null, step: null });
    expect(parseAddress("#ring=a&request=99999999999999")).toEqual({ ring: "a", request: null, step: null });
    expect(parseAddress("#%E0%A4%A")).toEqual({ ring: "%E0%A4%A", request: null, step: null });
  });
});
