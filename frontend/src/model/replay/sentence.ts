/** A sentence in pieces: the names of greenlets and what is code in it, so that they can be shown as such. */

export type Told = string | { code: string } | { name: string; greenlet: number };

/** Calls, lines of files, errno's names: "recv()", "client.py:14", "EWOULDBLOCK". */
const CODE = /[\w.]+\(\)|[\w.-]+\.py:\d+|\bE[A-Z]{4,}\b/;

/** @param names whom a sentence may speak of */
export function told(sentence: string, names: ReadonlyMap<string, number>): Told[] {
  const alternatives = [...names.keys()].sort((a, b) => b.length - a.length).map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const name = alternatives.length > 0 ? `(?<![\\w#])(?:${alternatives.join("|")})(?![\\w#])` : "(?!)";
  const pattern = new RegExp(`(${name})|(${CODE.source})`, "g");
  const pieces: Told[] = [];
  const seen = new Set<string>();
  let at = 0;
  const plain = (text: string): void => {
    const last = pieces.at(-1);
    if (typeof last === "string") pieces[pieces.length - 1] = last + text;
    else if (text !== "") pieces.push(text);
  };
  for (const found of sentence.matchAll(pattern)) {
    plain(sentence.slice(at, found.index));
    at = found.index + found[0].length;
    const [, called, code] = found;
    if (code !== undefined) pieces.push({ code });
    // A name that is a word of the language ("main") is one the first time, and then may be that word.
    else if (seen.has(called!) && !called!.includes("#")) plain(called!);
    else pieces.push({ name: called!, greenlet: names.get(called!)! });
    seen.add(found[0]);
  }
  plain(sentence.slice(at));
  return pieces;
}
