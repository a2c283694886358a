// A headless Chromium, driven by the DevTools protocol over a pair of pipes: no port, no library, nothing downloaded.
// https://chromedevtools.github.io/devtools-protocol/ names the methods.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const ANSWER_MS = 30_000;

/** A program, or why there is none. */
type FoundBrowser = { path: string } | { missing: string };

function findChromium(env: NodeJS.ProcessEnv = process.env): FoundBrowser {
  const names = env.SNAPCLONE_CHROMIUM === undefined ? NAMES : [env.SNAPCLONE_CHROMIUM];
  const reasons = names.map((name) => {
    try {
      execFileSync(name, ["--version"], { stdio: "pipe", timeout: ANSWER_MS });
      return { name };
    } catch (error) {
      return { reason: `${name}: ${(error as Error).message.split("\n")[0]}` };
    }
  });
  const found = reasons.find(({ name }) => name !== undefined)?.name;
  if (found !== undefined) return { path: found };
  return { missing: `no Chromium (apt-get install chromium, or SNAPCLONE_CHROMIUM): ${names.join(", ")}` };
}

/** The tests of a file with a browser, or one that is skipped and says why. */
export function describeWithBrowser(name: string, tests: (path: string) => void): void {
  const browser = findChromium();
  if ("path" in browser) {
    describe(name, () => tests(browser.path));
    return;
  }
  process.stderr.write(`── ${name} is skipped: ${browser.missing}\n`);
  test.skip(`${name} (${browser.missing})`, () => undefined);
}

export interface View {
  readonly width: number;
  readonly height: number;
  readonly scheme?: "light" | "dark";
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export class Browser {
  private readonly waiting = new Map<number, (message: Message) => void>();
  private readonly events: ((message: Message) => void)[] = [];
  private unread = "";
  private lastId = 0;

  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {
    const output = child.stdio[4] as Readable;
    output.setEncoding("utf8").on("data", (text: string) => this.receive(text));
  }

  static start(path: string): Browser {
    const folder = mkdtempSync(join(tmpdir(), "snapclone-chromium-"));
    const args = ["--headless=new", "--remote-debugging-pipe", `--user-data-dir=${folder}`, "--no-first-run"];
    // Nothing is loaded from outside, not even by the browser itself; and root has no sandbox.
    const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--lang=en"];
    // Smaller pictures, the same on each machine.
    const pictures = ["--disable-lcd-text", "--hide-scrollbars"];
    const root = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    const child = spawn(path, [...args, ...quiet, ...pictures, ...root], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      // A process group of its own, so that the browser's processes can be ended together.
      detached: true,
    });
    return new Browser(child, folder);
  }

  async open(url: string, view: View): Promise<Page> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page((method, params) => this.call(method, params, String(sessionId)));
    this.events.push((message) => page.note(message.method ?? "", message.params ?? {}));
    await page.start(url, view);
    return page;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    process.kill(-Number(this.child.pid), "SIGKILL");
    await ended;
    // A process that is about to die may write once more. Node's rmSync does not look for new files when it tries again.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  private call(method: string, params: object, sessionId?: string): Promise<Record<string, unknown>> {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Chromium has not answered ${method}`)), ANSWER_MS);
      this.waiting.set(id, ({ result, error }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
      const message = { id, method, params, ...(sessionId === undefined ? {} : { sessionId }) };
      (this.child.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    });
  }

  private receive(text: string): void {
    const messages = (this.unread + text).split("\0");
    this.unread = messages.pop() ?? "";
    for (const one of messages) {
      const message = JSON.parse(one) as Message;
      if (message.id === undefined) for (const listener of this.events) listener(message);
      else this.waiting.get(message.id)?.(message);
    }
  }
}

export class Page {
  /** What the console and the network say: errors, and each address that was asked for. */
  readonly errors: string[] = [];
  readonly requested: string[] = [];

  constructor(private readonly call: (method: string, params: object) => Promise<Record<string, unknown>>) {}

  async start(url: string, view: View): Promise<void> {
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await this.call(`${domain}.enable`, {});
    await this.resize(view);
    await this.call("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }

  async resize({ width, height, scheme = "light" }: View): Promise<void> {
    await this.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  /** The value of an expression, which may be a promise. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const answer = await this.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    const { result, exceptionDetails } = answer as {
      result: { value: Value };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails !== undefined)
      throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  async until(expression: string): Promise<void> {
    const deadline = Date.now() + ANSWER_MS;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (Date.now() > deadline) throw new Error(`not within ${ANSWER_MS} ms: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async press(key: string, text?: string): Promise<void> {
    const event = {
      key,
      code: key,
      ...(KEY_CODES[key] === undefined ? {} : { windowsVirtualKeyCode: KEY_CODES[key] }),
    };
    await this.call("Input.dispatchKeyEvent", { type: "keyDown", ...event, ...(text === undefined ? {} : { text }) });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async type(text: string): Promise<void> {
    await this.call("Input.insertText", { text });
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.call("Page.captureScreenshot", { format: "png", optimizeForSpeed: false });
    return Buffer.from(String(data), "base64");
  }

  note(method: string, params: Record<string, unknown>): void {
    if (method === "Network.requestWillBeSent") this.requested.push((params.request as { url: string }).url);
    if (method === "Runtime.exceptionThrown") this.errors.push(JSON.stringify(params.exceptionDetails));
    if (method === "Log.entryAdded" && (params.entry as { level: string }).level === "error")
      this.errors.push(JSON.stringify(params.entry));
  }
}

const KEY_CODES: Readonly<Record<string, number>> = { Tab: 9, Enter: 13, " ": 32 };
