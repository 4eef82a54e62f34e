import { describe, expect, it } from "vitest";
import { language, named, t } from "../../src/language/language";

describe("words", () => {
  it("are English where there is no page", () => {
    expect(language).toBe("en");
    expect(t("page.pause")).toBe("Pause");
    expect(named("page.pause")).toBe("Pause");
  });

  it("that there are not, are an error that names them", () => {
    expect(() => named("page.paus")).toThrow('no words for "page.paus"');
    expect(() => named(null)).toThrow("no words");
  });
});
