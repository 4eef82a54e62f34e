/** The part of the page's address after "#": which recording, and which request of it. */

export interface Address {
  /** Empty: none is named. */
  ring: string;
  request: number | null;
}

/** "#ring=4711-1&request=12"; "#4711-1" names a recording too. */
export function parseAddress(hash: string): Address {
  const text = hash.replace(/^#/, "");
  if (!text.includes("=")) return { ring: decoded(text), request: null };
  const parts = new URLSearchParams(text);
  const number = parts.get("request") ?? "";
  return { ring: parts.get("ring") ?? "", request: /^\d{1,10}$/.test(number) ? Number(number) : null };
}

export function addressOf({ ring, request }: Address): string {
  const parts = new URLSearchParams({ ring });
  if (request !== null) parts.set("request", String(request));
  return `#${parts}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
