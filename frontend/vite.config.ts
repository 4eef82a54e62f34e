import { defineConfig } from "vitest/config";

// The built page is committed, so that installing greenscope needs no Node: names without hashes keep
// its diffs small. The viewer serves it at its root and at static/ below it, and answers with an ETag,
// which is what a hash would have been for. Where that root is, the page does not know: under another
// application, or behind a proxy, it may be anywhere. So every address in it is relative to the page's.
export default defineConfig({
  base: "",
  experimental: {
    renderBuiltUrl: (file, { hostType }) => (hostType === "html" ? `static/${file}` : { relative: true }),
  },
  build: {
    outDir: "../greenscope/web/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    sourcemap: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: "app.js",
        chunkFileNames: "[name].js",
        assetFileNames: "app[extname]",
      },
    },
  },
  server: {
    proxy: {
      "/api": { target: "http://127.0.0.1:8765", ws: true },
      "/plotly.min.js": "http://127.0.0.1:8765",
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
