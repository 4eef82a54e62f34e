/** The words of the panel of a lesson in Simplified Chinese; a part of zh.ts. */

import type { EN_LESSON } from "../en/lesson";

export const ZH_LESSON: Readonly<Record<keyof typeof EN_LESSON, string>> = {
  "lesson.save": "保存为网页",
  "lesson.saving": "正在生成网页…",
  "lesson.saved": "已保存为 {file}：只有一个文件，不需要网络。",
  "lesson.not.saved": "没有保存：{why}",
  "lesson.passages": "段落",
  "lesson.back": "上一段",
  "lesson.on": "下一段",
  "lesson.passage": "第 {number} 段，共 {count} 段",
  "lesson.before": "第一段之前",
  "lesson.step": "第 {step} 步",
  "lesson.absent": "这次运行中没有发生这件事。",
  "lesson.questions": "问题",
  "lesson.none": "共 {count} 题",
  "lesson.score": "{count} 题中答对 {right} 题",
  "lesson.again": "重新开始",
  "lesson.question": "第 {number} 题",
  "lesson.number": "你的数字",
  "lesson.answer": "回答",
  "lesson.find": "先走到那一步，再按这个按钮。",
  "lesson.here": "就在这里：第 {step} 步",
  "lesson.no.number": "请写一个整数，例如 3。",
  "lesson.no.choice": "请先选择一项。",
  "lesson.wrong": "不对。",
  "lesson.show": "带我去看：第 {step} 步",
  "help.lesson": "课程的下一段、上一段",
  "keys.lesson": "段落",
};
