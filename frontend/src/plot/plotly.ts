/**
 * Plotly, as much of it as this page uses. The viewer serves the script from the installed `plotly`
 * package; it is some megabytes, so the page starts without it and draws axes once it has come.
 */

export interface PlotlyApi {
  newPlot(root: HTMLElement, data: object[], layout: object, config?: object): Promise<unknown>;
  react(root: HTMLElement, data: object[], layout: object, config?: object): Promise<unknown>;
  purge(root: HTMLElement): void;
}

declare global {
  interface Window {
    Plotly?: PlotlyApi;
  }
}

export const plotly: Promise<PlotlyApi> = new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = "plotly.min.js";
  script.onload = () => {
    if (window.Plotly) resolve(window.Plotly);
    else reject(new Error("plotly.min.js did not define Plotly"));
  };
  script.onerror = () => reject(new Error("plotly.min.js could not be loaded"));
  document.head.append(script);
});

/** Plotly draws and nothing more: every gesture is this page's own. */
export const CONFIG = { staticPlot: true, displayModeBar: false, responsive: false, doubleClick: false };

