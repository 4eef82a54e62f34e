/** Small helpers over the DOM. Text goes in as text, never as HTML: names and peers come from a trace. */

export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found as unknown as T;
}

type Child = Node | string | null | undefined | false;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | undefined> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name === "class") node.className = String(value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child) node.append(child);
  return node;
}

/** What the viewer says in its own words, which are English in every language of the page. */
export function english(text: string): HTMLElement {
  return el("span", { lang: "en" }, text);
}

/** Touches the text only when it changes: most of what comes four times a second is as it was. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Says it to who does not see the page. */
export function announce(...said: readonly (string | Node)[]): void {
  byId("announce").replaceChildren(...said);
}
