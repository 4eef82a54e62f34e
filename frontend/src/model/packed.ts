/**
 * What greenscope/web/packed_json.py packs: a value, each part of which is there once, however often it occurs. What is
 * the same is one object afterwards, so nobody may change it.
 */

export interface Packed {
  /** The keys of objects. */
  shapes: string[][];
  /** Plain values; and lists of a shape's number, or -1 for an array, and of the places of parts, which come before. */
  parts: (string | number | boolean | null | number[])[];
}

export function unpacked({ shapes, parts }: Packed): unknown {
  const made: unknown[] = [];
  for (const part of parts) {
    if (!Array.isArray(part)) {
      made.push(part);
      continue;
    }
    const [shape, ...places] = part as [number, ...number[]];
    const values = places.map((place) => made[place]);
    made.push(shape < 0 ? values : Object.fromEntries(shapes[shape]!.map((key, i) => [key, values[i]])));
  }
  return made.at(-1);
}
