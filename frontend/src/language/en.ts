/**
 * The page's words in English, a table for each part of the page. A key that ends in `.one` has another that ends in
 * `.many`, and {count} is the number. zh.ts has the same keys, with the same places.
 */

import { EN_LESSON } from "./en/lesson";
import { EN_PAGE } from "./en/page";
import { EN_REPLAY } from "./en/replay";
import { EN_REQUESTS } from "./en/requests";
import { EN_TABLES } from "./en/tables";
import { EN_TIMELINE } from "./en/timeline";

export const EN = { ...EN_PAGE, ...EN_TIMELINE, ...EN_TABLES, ...EN_REQUESTS, ...EN_REPLAY, ...EN_LESSON } as const;

export type Key = keyof typeof EN;
