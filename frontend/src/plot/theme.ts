/** The colours of what is drawn rather than styled, for a dark and for a light page. */

export interface Paint {
  dark: boolean;
  grid: string;
  text: string;
  line: string;
  fill: string;
  threshold: string;
  stallShade: string;
  selectedRow: string;
  hoverRow: string;
  outside: string;
  outline: string;
  cursor: string;
  hatch: string;
  labelBack: string;
  labelText: string;
  /** Drawn at the edge of yellow and grey, which are pale on white. */
  edge: string | null;
  died: string;
}

export const DARK: Paint = {
  dark: true,
  grid: "#232a33",
  text: "#9aa5b1",
  line: "#56B4E9",
  fill: "rgba(86,180,233,0.16)",
  threshold: "#E69F00",
  stallShade: "rgba(213,94,0,0.15)",
  selectedRow: "rgba(86,180,233,0.13)",
  hoverRow: "rgba(255,255,255,0.045)",
  outside: "rgba(0,0,0,0.28)",
  outline: "#ffffff",
  cursor: "rgba(255,255,255,0.75)",
  hatch: "rgba(20,10,0,0.5)",
  labelBack: "#ffe3cf",
  labelText: "#3d1b00",
  edge: null,
  died: "#ff7b5c",
};

export const LIGHT: Paint = {
  dark: false,
  grid: "#e3e7ec",
  text: "#57606a",
  line: "#0072B2",
  fill: "rgba(0,114,178,0.13)",
  threshold: "#b06f00",
  stallShade: "rgba(213,94,0,0.12)",
  selectedRow: "rgba(0,114,178,0.11)",
  hoverRow: "rgba(0,0,0,0.035)",
  outside: "rgba(90,100,115,0.10)",
  outline: "#1f2328",
  cursor: "rgba(31,35,40,0.7)",
  hatch: "rgba(255,255,255,0.42)",
  labelBack: "#4a1f00",
  labelText: "#fff1e6",
  edge: "#a89c00",
  died: "#c23b14",
};

/** On canvases, as the page has it. */
export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';
