/**
 * The page's language, and its words. Which language it is, public/language.js decides before the first paint;
 * it holds until the page is loaded again, so that words may be asked for once and kept.
 */

import { count } from "../model/format";
import { EN, type Key } from "./en";
import { ZH } from "./zh";

export type Language = "en" | "zh";
type Places = Readonly<Record<string, string | number>>;
/** The names of the places in a text: "from {a} to {b}" has "a" and "b". */
type NamesIn<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;
type PlacesOf<K extends Key, Piece> = Readonly<Record<NamesIn<(typeof EN)[K]>, Piece>>;
/** What a key wants beside itself: its places, if it has any. */
type Filling<K extends Key> = [NamesIn<(typeof EN)[K]>] extends [never] ? [] : [places: PlacesOf<K, string | number>];
/** A key without its `.many`: what can be counted. */
type Counted = Key extends infer K ? (K extends `${infer Base}.many` ? Base : never) : never;

const TABLES: Readonly<Record<Language, Readonly<Record<Key, string>>>> = { en: EN, zh: ZH };

/** "en" where there is no page: in the unit tests. */
export const language: Language =
  typeof document !== "undefined" && document.documentElement.lang.startsWith("zh") ? "zh" : "en";

/** The words of a key, with what belongs in its places. */
export function t<K extends Key>(key: K, ...[places]: Filling<K>): string {
  return filled(TABLES[language][key], places);
}

/** The same in pieces, where what goes into its places is more than words. */
export function pieces<K extends Key>(key: K, places: PlacesOf<K, string | Node>): (string | Node)[] {
  const parts = TABLES[language][key].split(/\{(\w+)\}/);
  return parts.map((part, i) => (i % 2 === 0 ? part : (places as Readonly<Record<string, string | Node>>)[part]!));
}

/** The words for so many: `.one` or `.many` of a key. Its {count} is the number, with its digits grouped. */
export function counted(key: Counted, value: number, places: Places = {}): string {
  const which = `${key}.${value === 1 ? "one" : "many"}` as Key;
  return filled(TABLES[language][which], { count: count(value), ...places });
}

/** What is between two sentences: nothing in Chinese. */
export const BETWEEN = language === "zh" ? "" : " ";

/** The words of a key that is made of what the viewer sends; what this page does not know stays as it is sent. */
export function namedOr(key: string, sent: string): string {
  return Object.hasOwn(EN, key) ? TABLES[language][key as Key] : sent;
}

/** The words of a key that a page's element names; they have no places. */
export function named(key: string | null): string {
  const text = TABLES[language][key as Key];
  if (text === undefined) throw new Error(`no words for "${key}"`);
  return text;
}

function filled(text: string, places: Places = {}): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => String(places[name] ?? place));
}
