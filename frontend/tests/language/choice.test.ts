import { describe, expect, it } from "vitest";
import script from "../../public/language.js?raw";

/** The page's language, for what was chosen before and what the browser wants. */
function chosen(stored: string | null | Error, languages: readonly string[], search = "", saved?: string): string {
  const root = { lang: "", dataset: { lang: saved } };
  const getItem = (): string | null => {
    if (stored instanceof Error) throw stored;
    return stored;
  };
  const run = new Function("localStorage", "navigator", "document", "location", script);
  run({ getItem }, { languages }, { documentElement: root }, { search });
  return root.lang;
}

describe("the page's language", () => {
  it.each([
    [["en-US", "zh-CN"], "en"],
    [["zh"], "zh-CN"],
    [["zh-CN"], "zh-CN"],
    [["zh-Hans"], "zh-CN"],
    [["zh-Hans-SG", "en"], "zh-CN"],
    [["ZH-tw"], "zh-CN"],
    [["de-DE", "zh-CN", "en"], "zh-CN"],
    [["de", "en-GB", "zh"], "en"],
    [["de", "fr"], "en"],
    [["zhx", "constructor"], "en"],
    [[], "en"],
  ])("for a browser of %j is %s", (languages, expected) => {
    expect(chosen(null, languages)).toBe(expected);
  });

  it("is what was chosen before, whatever the browser wants", () => {
    expect(chosen("zh", ["en-US"])).toBe("zh-CN");
    expect(chosen("en", ["zh-CN"])).toBe("en");
  });

  it("is what the address asks for, whatever was chosen before", () => {
    expect(chosen("en", ["en-US"], "?token=x&lang=zh")).toBe("zh-CN");
    expect(chosen("zh", ["zh-CN"], "?lang=en")).toBe("en");
    expect(chosen("zh", ["en-US"], "?lang=klingon")).toBe("zh-CN");
  });

  it("is the one that a lesson's page was saved in, unless another was chosen", () => {
    expect(chosen(null, ["en-US"], "", "zh")).toBe("zh-CN");
    expect(chosen("en", ["zh-CN"], "", "zh")).toBe("en");
  });

  it("is the browser's, if what was stored is none or cannot be read", () => {
    expect(chosen("klingon", ["zh-CN"])).toBe("zh-CN");
    expect(chosen(new Error("no storage"), ["zh-CN"])).toBe("zh-CN");
  });
});
