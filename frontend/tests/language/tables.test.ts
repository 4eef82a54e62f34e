import { describe, expect, it } from "vitest";
import page from "../../index.html?raw";
import { EN, type Key } from "../../src/language/en";
import { ZH } from "../../src/language/zh";
import { ATTRIBUTES } from "../../src/views/language";

const placesOf = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort();

describe("the tables of words", () => {
  it("have the same keys, in the same order", () => {
    expect(Object.keys(ZH)).toEqual(Object.keys(EN));
  });

  it.each(Object.keys(EN) as Key[])("say %s with the same places, and say something", (key) => {
    expect(placesOf(ZH[key])).toEqual(placesOf(EN[key]));
    for (const text of [EN[key], ZH[key]]) {
      expect(text).not.toBe("");
      expect(text.replace(/\{\w+\}/g, "")).not.toMatch(/[{}]/);
    }
  });

  it("part Chinese from what stays English with a space", () => {
    for (const text of Object.values(ZH)) expect(text).not.toMatch(/\p{Script=Han}[a-z]|[a-z]\p{Script=Han}/iu);
  });

  it("have one and many of what is counted", () => {
    for (const key of Object.keys(EN)) {
      const other = key.endsWith(".one") ? key.replace(/one$/, "many") : key.endsWith(".many") ? key.replace(/many$/, "one") : null;
      if (other !== null) expect(EN).toHaveProperty([other]);
    }
  });
});

describe("index.html", () => {
  const named = [...page.matchAll(/ (data-t(?:-\w+)?)="([^"]*)"/g)];

  it("names keys that there are, and that have no places", () => {
    expect(named.length).toBeGreaterThan(40);
    for (const [, , key] of named) expect(placesOf(EN[key as Key] ?? "{none}"), key).toEqual([]);
  });

  it("has them filled in by fillPage", () => {
    for (const [, attribute] of named) expect(["data-t", ...Object.keys(ATTRIBUTES)]).toContain(attribute);
  });

  it("holds no words itself but the product's name and the names of keys", () => {
    const body = page.slice(page.indexOf("<body>"));
    const texts = [...body.replace(/<kbd.*?<\/kbd>/g, "").matchAll(/>([^<]*[a-z][^<]*)</gi)].map(([, text]) => text!.trim());
    expect(texts).toEqual(["greenscope"]);
    expect(body).not.toMatch(/ (aria-label|title|placeholder|alt)="/);
  });
});
