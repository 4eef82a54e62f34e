/**
 * The page's words in English. A key that ends in `.one` has another that ends in `.many`, with {count}; what goes
 * into the other places is said where the words are asked for. zh.ts has the same keys, with the same places.
 */

export const EN = {
  // what index.html says
  "page.skip": "Skip to the timeline",
  "page.views": "Views",
  "page.recording": "Recording",
  "page.search.label": "Search greenlets by name, file, fd or peer",
  "page.search": "Search greenlet, fd, file…",
  "page.connecting": "Connecting…",
  "page.pause": "Pause",
  "page.resume": "Resume",
  "page.help": "Help: keys and gestures",
  "page.figures": "Figures",
  "tab.timeline": "Timeline",
  "tab.greenlets": "Greenlets",
  "tab.stalls": "Stalls",
  "tab.profile": "Profile",
  "tab.requests": "Requests",
  "timeline.latency": "Hub latency",
  "timeline.latency.hint": "drag to choose the window",
  "timeline.back": "Back to live",
  "timeline.greenlets": "Greenlets",
  "timeline.role": "timeline",
  "timeline.label":
    "Timeline of greenlets. Arrow keys move from span to span, Enter selects, question mark lists the keys.",
  "timeline.details": "Details",
  "legend.label": "Legend",
  "table.greenlets": "Greenlets",
  "table.exited": "also those that have exited",
  "table.label": "Table of greenlets",
  "stalls.title": "Stalls",
  "profile.title": "Where the time went",
  "profile.by": "By",
  "profile.label": "Profile",
  "requests.title": "Requests",
  "requests.order": "Order",
  "requests.only": "Which",
  "requests.routes": "By route",
  "key.space": "Space",
  "keys.zoom": "zoom",
  "keys.pan": "pan",
  "keys.fit": "fit selection",
  "keys.whole": "whole recording",
  "keys.findings": "previous / next finding",
  "keys.live": "live",
  "keys.search": "search",
  "keys.all": "all keys",

  // the switch, in the language it switches to
  "language.other": "中文",
  "language.switch": "用中文显示",
} as const;

export type Key = keyof typeof EN;
