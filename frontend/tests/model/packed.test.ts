import { expect, it } from "vitest";
import { unpacked } from "../../src/model/packed";

it("makes a value of its parts, and one object of what is the same", () => {
  const value = unpacked({
    shapes: [["a", "b"], ["line"]],
    parts: [7, [1, 0], "</script>", [0, 1, 2], null, [-1, 3, 1, 4], true, [-1], [0, 5, 7]],
  }) as { a: [{ a: object; b: string }, object, null]; b: unknown[] };
  expect(value).toEqual({ a: [{ a: { line: 7 }, b: "</script>" }, { line: 7 }, null], b: [] });
  expect(value.a[0].a).toBe(value.a[1]);
});

it("takes a plain value, too", () => expect(unpacked({ shapes: [], parts: ["x"] })).toBe("x"));
