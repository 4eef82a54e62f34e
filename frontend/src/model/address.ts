/** The part of the page's address after "#": which recording, and which request or which step of it. */

export interface Address {
  /** Empty: none is named. */
  ring: string;
  request: number | null;
  /** As it is written: it may be none. */
  step: string | null;
}

/** "#ring=4711-1&request=12", "#ring=4711-1&step=12"; "#4711-1" names a recording too. */
export function parseAddress(hash: string): Address {
  const text = hash.replace(/^#/, "");
  if (!text.includes("=")) return { ring: decoded(text), request: null, step: null };
  const parts = new URLSearchParams(text);
  const number = parts.get("request") ?? "";
  return { ring: parts.get("ring") ?? "", request: /^\d{1,10}$/.test(number) ? Number(number) : null, step: parts.get("step") };
}

export function addressOf({ ring, request, step }: Address): string {
  const parts = new URLSearchParams({ ring });
  if (request !== null) parts.set("request", String(request));
  if (step !== null) parts.set("step", step);
  return `#${parts}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
