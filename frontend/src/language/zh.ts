/**
 * The page's words in Simplified Chinese; the keys and places are those of en.ts, the terms those of narrate/chinese.py.
 * What the field says in English stays so where Chinese texts leave it, too: greenlet, fd, p99, the names of keys.
 */

import type { Key } from "./en";

export const ZH: Readonly<Record<Key, string>> = {
  // what index.html says
  "page.skip": "跳到时间线",
  "page.views": "视图",
  "page.recording": "记录",
  "page.search.label": "按名称、文件、fd 或对端搜索协程",
  "page.search": "搜索协程、fd、文件…",
  "page.connecting": "正在连接…",
  "page.pause": "暂停",
  "page.resume": "继续",
  "page.help": "帮助：按键与手势",
  "page.figures": "关键数字",
  "tab.timeline": "时间线",
  "tab.greenlets": "协程",
  "tab.stalls": "卡顿",
  "tab.profile": "剖析",
  "tab.requests": "请求",
  "timeline.latency": "hub 延迟",
  "timeline.latency.hint": "拖动以选择窗口",
  "timeline.back": "回到实时",
  "timeline.greenlets": "协程",
  "timeline.role": "时间线",
  "timeline.label": "协程的时间线。方向键在时段之间移动，Enter 选中，问号列出所有按键。",
  "timeline.details": "详情",
  "legend.label": "图例",
  "table.greenlets": "协程",
  "table.exited": "包括已结束的",
  "table.label": "协程表",
  "stalls.title": "卡顿",
  "profile.title": "时间花在哪里",
  "profile.by": "依据",
  "profile.label": "剖析",
  "requests.title": "请求",
  "requests.order": "顺序",
  "requests.only": "范围",
  "requests.routes": "按路由",
  "key.space": "空格",
  "keys.zoom": "缩放",
  "keys.pan": "平移",
  "keys.fit": "适配所选",
  "keys.whole": "整个记录",
  "keys.findings": "上一个 / 下一个问题",
  "keys.live": "实时",
  "keys.search": "搜索",
  "keys.all": "所有按键",

  // the switch, in the language it switches to
  "language.other": "English",
  "language.switch": "Show in English",
};
