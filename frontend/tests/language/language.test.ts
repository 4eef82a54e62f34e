import { describe, expect, it } from "vitest";
import { counted, language, named, namedOr, pieces, t } from "../../src/language/language";

describe("words", () => {
  it("are English where there is no page", () => {
    expect(language).toBe("en");
    expect(t("page.pause")).toBe("Pause");
    expect(named("page.pause")).toBe("Pause");
  });

  it("have others for one than for many, and group a number's digits", () => {
    expect(counted("lanes", 1)).toBe("1 lane");
    expect(counted("lanes", 12_431)).toBe("12\u2009431 lanes");
    expect(counted("lanes", 0)).toBe("0 lanes");
  });

  it("have what belongs in their places, as text or as what it is", () => {
    expect(t("header.blocks", { name: "{name} $& <b>" })).toBe("{name} $& <b> blocks the hub");
    const name = {} as Node;
    expect(pieces("stall.holds", { name })).toEqual(["", name, " holds the hub without yielding."]);
  });

  it("of what the viewer may send are its own where this page knows none", () => {
    expect(namedOr("exit.killed", "killed")).toBe("killed");
    expect(namedOr("exit.melted", "melted")).toBe("melted");
    expect(namedOr("constructor", "constructor")).toBe("constructor");
  });

  it("that there are not, are an error that names them", () => {
    expect(() => named("page.paus")).toThrow('no words for "page.paus"');
    expect(() => named(null)).toThrow("no words");
  });
});
