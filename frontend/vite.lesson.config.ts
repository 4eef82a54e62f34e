import { defineConfig } from "vite";

// The page of one lesson: a script and a style sheet that Python writes into an HTML file (greenscope/web/lesson_page.py).
// Each is one file that names no other: a page that is opened from a disk may import nothing.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../greenscope/web/static",
    emptyOutDir: false,
    target: "es2022",
    modulePreload: false,
    sourcemap: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rollupOptions: {
      input: "src/lesson.ts",
      output: { format: "iife", entryFileNames: "lesson.js", assetFileNames: "lesson[extname]" },
    },
  },
});
