/**
 * The page's words in Simplified Chinese; the keys and places are those of en.ts, the terms those of the steps' words
 * (narrate/chinese.py). What the field says in English stays so where Chinese texts leave it, too: fd, p99, Esc.
 */

import type { Key } from "./en";
import { ZH_LESSON } from "./zh/lesson";
import { ZH_PAGE } from "./zh/page";
import { ZH_REPLAY } from "./zh/replay";
import { ZH_REQUESTS } from "./zh/requests";
import { ZH_TABLES } from "./zh/tables";
import { ZH_TIMELINE } from "./zh/timeline";

export const ZH: Readonly<Record<Key, string>> = { ...ZH_PAGE, ...ZH_TIMELINE, ...ZH_TABLES, ...ZH_REQUESTS, ...ZH_REPLAY, ...ZH_LESSON };
