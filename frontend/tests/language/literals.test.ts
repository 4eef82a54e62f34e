/** That views ask the tables for their words: no text of the sources reads like words for a person. */

import { expect, it } from "vitest";

const SOURCES = import.meta.glob<string>(["../../src/**/*.ts", "!../../src/language/**", "!../../src/protocol/events.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

/** What stands before a text that no person reads: a class or a selector, an error, code, a font. */
const BEFORE_WHAT_IS_NOT_READ = /(class: |\.(querySelector(All)?|matches|closest)(<\w+>)?\(|Error\(|console\.\w+\(|"code", \{\}, |font = |FONT = )$/;

/** The names of keys and fonts, commands, numbers of processes and hubs, and what only looks like words. */
const ALLOWED: ReadonlySet<string> = new Set([
  "Esc",
  "Enter",
  "Escape",
  "PgUp PgDn",
  "Home",
  "End",
  "Home End",
  "Space",
  "greenscope run app.py",
  "greenscope serve",
  "--detail teach",
  "greenscope record ${OPTION} -o x.gsr program.py\\ngreenscope serve x.gsr",
  "${format.commandName(ring.argv)} · greenscope",
  "${plain(held.lesson.title)} · greenscope",
  "${thread}hub ${ring.hub} · ${format.commandName(ring.argv)} · pid ${ring.pid}",
  "${format.commandName(ring.argv)} · pid ${ring.pid} · hub ${ring.hub}${thread}",
  "not yet started", // as the viewer says it
  "Segoe UI",
  "Noto Sans",
  "PingFang SC",
  "Microsoft YaHei",
  "Noto Sans CJK SC",
  "source-line here",
  "bin none",
  "link on-path",
  "lane ${member.id}",
]);

const COMMENT = /\/\*[^]*?\*\/|^\s*\/\/.*$|(?<=[;,{}()] )\/\/.*$/gm;

/** Texts between quotes or back-ticks, each with what stands before it; those in a template's ${} are texts, too. */
function texts(source: string): [before: string, text: string][] {
  const code = source.replace(COMMENT, "");
  const found: [string, string][] = [];
  for (const token of [/"((?:[^"\\\n]|\\.)*)"/g, /'((?:[^'\\\n]|\\.)*)'/g, /`((?:[^`\\]|\\.)*)`/g]) {
    for (const match of code.matchAll(token)) found.push([code.slice(Math.max(0, match.index - 40), match.index), match[1]!]);
  }
  return found;
}

/** Two words, or one that begins like a sentence; what is put into a template is none. */
function readsLikeWords(text: string): boolean {
  const words = text.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "·");
  return /[a-z]{2,} +[a-z]{2,}/i.test(words) || /^[A-Z][a-z]+[.…:]?$/.test(words) || /· ?[a-z]{3,}|[a-z]{3,} ?·/.test(words);
}

it("finds texts wherever they are", () => {
  const source = 'a("b c"); // "d e"\n/** "f g" */ h(`i ${j ? "k l" : "m n"} o`, \'p q\')';
  expect(texts(source).map(([, text]) => text)).toEqual(["b c", "k l", "m n", "p q", 'i ${j ? "k l" : "m n"} o']);
});

it.each([
  ["nothing is wrong", true],
  ["Nothing", true],
  ["Reading…", true],
  ["${count} lanes", true],
  ["at ${moment}", false],
  ["since ${moment}", true],
  ["card.stall.none", false],
  ["fd ${fd} · ${peer}", false],
  ["ArrowUp", false],
])("%j reads like words: %s", (text, expected) => expect(readsLikeWords(text)).toBe(expected));

it.each(Object.keys(SOURCES))("%s holds no words", (file) => {
  const read = texts(SOURCES[file]!).filter(([before]) => !BEFORE_WHAT_IS_NOT_READ.test(before));
  expect(read.map(([, text]) => text).filter((text) => readsLikeWords(text) && !ALLOWED.has(text))).toEqual([]);
});
