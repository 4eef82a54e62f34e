import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parts, Polling } from "../../src/protocol/transport";

function body(...messages: (string | Uint8Array)[]): ArrayBuffer {
  const encoded = messages.map((m) => (typeof m === "string" ? new TextEncoder().encode(m) : m));
  const whole = new Uint8Array(encoded.reduce((size, part) => size + 8 + part.length, 0));
  const view = new DataView(whole.buffer);
  let at = 0;
  encoded.forEach((part, i) => {
    view.setUint32(at, part.length, true);
    view.setUint32(at + 4, typeof messages[i] === "string" ? 1 : 2, true);
    whole.set(part, at + 8);
    at += 8 + part.length;
  });
  return whole.buffer;
}

describe("an answer", () => {
  it("is its messages, in their order", () => {
    const found = parts(body("eins", new Uint8Array([1, 2, 3]), "zwei ✓"));
    expect(found[0]).toBe("eins");
    expect([...new Uint8Array(found[1] as ArrayBuffer)]).toEqual([1, 2, 3]);
    expect(found[2]).toBe("zwei ✓");
    expect(parts(new ArrayBuffer(0))).toEqual([]);
  });

  it("that was cut short is none", () => {
    const whole = body("eins");
    for (const size of [1, 7, 9, whole.byteLength - 1]) expect(() => parts(whole.slice(0, size))).toThrow("cut short");
  });
});

describe("polling", () => {
  const asked: { address: string; said: string[] }[] = [];
  let answers: (ArrayBuffer | number)[];
  const heard: string[] = [];
  const events = {
    opened: () => heard.push("opened"),
    text: (data: string) => heard.push(data),
    bytes: (data: ArrayBuffer) => heard.push(`${data.byteLength} bytes`),
    closed: () => heard.push("closed"),
  };

  beforeEach(() => {
    vi.useFakeTimers();
    asked.length = heard.length = 0;
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("document", { hidden: false });
    vi.stubGlobal("fetch", (address: string, options: { body: string; signal: AbortSignal }) => {
      asked.push({ address, said: JSON.parse(options.body) as string[] });
      const answer = answers.shift();
      if (answer === undefined) return new Promise(() => undefined);
      if (typeof answer === "number") return Promise.resolve({ ok: false, status: answer });
      return Promise.resolve({ ok: true, arrayBuffer: () => Promise.resolve(answer) });
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  const began = body('{"type":"page","page":"p 1","pause":200}', '{"type":"hello"}');

  it("goes on as the page that it was told it is, after the pause that it was told", async () => {
    answers = [began, body(new Uint8Array(5))];
    const polling = new Polling("api/rings/a/poll", events);
    await vi.advanceTimersByTimeAsync(199);
    expect(asked).toEqual([{ address: "api/rings/a/poll", said: [] }]);
    expect(heard).toEqual(["opened", '{"type":"hello"}']);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked[1]).toEqual({ address: "api/rings/a/poll?page=p%201", said: [] });
    expect(heard[2]).toBe("5 bytes");
    polling.close();
  });

  it("says what is new at once, and of what came meanwhile the last", async () => {
    answers = [began];
    const polling = new Polling("api/rings/a/poll", events);
    await vi.advanceTimersByTimeAsync(1);
    polling.send("first");
    await vi.advanceTimersByTimeAsync(1);
    expect(asked[1]!.said).toEqual(["first"]);
    answers = [body()];
    polling.send("second");
    polling.send("third");
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(2); // the one before is under way
    polling.close();
  });

  it("is over when an answer is lost or refused, and says so once", async () => {
    answers = [began, 410];
    const polling = new Polling("api/rings/a/poll", events);
    await vi.advanceTimersByTimeAsync(1000);
    expect(heard.at(-1)).toBe("closed");
    expect(asked).toHaveLength(2);
    expect(polling.open).toBe(false);
  });

  it("says nothing any more once it was closed", async () => {
    answers = [began];
    const polling = new Polling("api/rings/a/poll", events);
    polling.close();
    await vi.advanceTimersByTimeAsync(1000);
    expect(heard).toEqual([]);
    expect(asked).toHaveLength(1);
  });
});
