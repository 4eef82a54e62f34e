/**
 * The page of one lesson, to hand out as a file: its replay and its text, with all that they need inside, in each
 * language. It asks nobody for anything.
 */

import "./styles.css";
import "./replay.css";
import "./lesson.css";
import { language, type Language } from "./language/language";
import { parseAddress } from "./model/address";
import { shortFile } from "./model/format";
import { beside, plain } from "./model/lesson";
import { unpacked, type Packed } from "./model/packed";
import { EmbeddedSource, type EmbeddedReplay } from "./protocol/replay-source";
import { LIGHT, type Paint } from "./plot/theme";
import { Replaying } from "./replaying";
import { AddressBar } from "./views/address";
import { byId } from "./views/dom";
import { fillPage, listenLanguage } from "./views/language";
import { Theme } from "./views/theme";

const held = (unpacked(JSON.parse(byId("lesson").textContent) as Packed) as Record<Language, EmbeddedReplay>)[language];

fillPage();
listenLanguage();
const [program] = held.overview.files;
document.title = `${plain(held.lesson.title)} · greenscope`;
byId("program").textContent = program === undefined ? "" : shortFile(program.file);

const theme = new Theme();
const replaying = new Replaying(
  byId("panel-replay"),
  { shown: () => true, moved: (jump) => (jump ? address.write(true) : address.follow()) },
  theme.paint,
);
const address = new AddressBar(() => (replaying.step === null ? null : `#step=${replaying.step}`));
theme.changed = (paint) => replaying.setPaint(paint);
// Paper is light.
window.addEventListener("beforeprint", () => show(LIGHT));
window.addEventListener("afterprint", () => show(theme.paint));

function show(paint: Paint): void {
  document.documentElement.dataset["theme"] = paint.dark ? "dark" : "light";
  replaying.setPaint(paint);
}

/** Where no step is asked for, at the first passage: what is before that teaches nothing yet. */
function goToAddress(): void {
  const { passages } = held.lesson;
  const first = passages[beside(passages, null, 1) ?? 0]?.step ?? 0;
  replaying.openAt(parseAddress(location.hash).step ?? String(first));
}

replaying.open(new EmbeddedSource(held));
goToAddress();
replaying.refresh();
window.addEventListener("hashchange", goToAddress);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" ? replaying.close() : replaying.key(event)) event.preventDefault();
});
