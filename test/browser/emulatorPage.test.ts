// The emulator's page in a real browser: it shows what happens while it happens, and controls the emulator.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Emulator, startEmulator } from "../../emulator";
import { Browser, describeWithBrowser, type Page } from "./chromium";

const IMAGES = resolve(__dirname, "..", "..", "docs", "images");
const WIDE = { width: 1280, height: 640 };
const NARROW = { width: 375, height: 812 };

describeWithBrowser("the emulator's page", (chromium) => {
  let browser: Browser;
  let emulator: Emulator;
  let page: Page;

  beforeAll(async () => {
    browser = Browser.start(chromium);
    emulator = await startEmulator({ clock: "manual" });
    page = await browser.open(`${emulator.url}/`, WIDE);
    await page.until("document.querySelector('#services details')");
  });

  beforeEach(async () => {
    emulator.reset();
    await page.until(`!document.querySelector("#services").textContent.includes("nightly")`);
  });

  afterAll(async () => {
    await browser?.close();
    await emulator?.close();
  });

  const text = (selector: string) =>
    page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).textContent`);
  const rows = (selector: string) =>
    page.evaluate<string[]>(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].map((row) => row.textContent)`,
    );
  const fill = (selector: string, value: string) =>
    page.evaluate(`{
      const input = document.querySelector(${JSON.stringify(selector)});
      input.value = ${JSON.stringify(value)};
      for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, { bubbles: true }));
    }`);
  const click = (selector: string) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);

  it("shows the states as they change, and keeps opened details open", async () => {
    const snapshot = await createSnapshot(emulator, "nightly");
    const line = `[data-key="${snapshot}"]`;
    await page.until(`document.querySelector('${line} .status')?.textContent.startsWith("creating")`);
    await click(`${line} summary`);
    await fill("#tick-amount", "2");
    await click("#tick button");
    await page.until(`document.querySelector('${line} .status').textContent === "available"`);
    expect(await page.evaluate(`document.querySelector('${line} details').open`)).toBe(true);
    expect(await text(`${line} pre`)).toContain('"status": "available"');
    // The row is marked for two seconds, which a look from outside may miss.
    await page.evaluate(`{
      const row = document.querySelector('${line}');
      const look = () => (window.wasMarked ||= row.classList.contains("gone"));
      new MutationObserver(look).observe(row, { attributes: true });
    }`);
    emulator.cinder.removeSnapshot(snapshot);
    await page.until(`document.querySelector('${line}') === null`);
    expect(await page.evaluate("window.wasMarked")).toBe(true);
  });

  it("filters the requests by service, method, status and text", async () => {
    await createSnapshot(emulator, "nightly-of-monday");
    await fetch(`${emulator.url}/volume/v3/nothing`);
    await fetch(`${emulator.url}/compute/v2.1/servers`);
    await page.until(`document.querySelectorAll("#request-rows tr").length === 4`);
    const [newest] = await rows("#request-rows tr");
    expect(newest).toContain("GET /compute/v2.1/servers");

    const shown = async (filters: Record<string, string>, ...expected: string[]) => {
      for (const name of ["service", "method", "status", "text"])
        await fill(`#filters [name=${name}]`, filters[name] ?? "");
      await page.until(`document.querySelector("#request-count").textContent === "${expected.length} of 4 requests"`);
      const found = await rows("#request-rows tr");
      expect(found).toEqual(expected.map((part) => expect.stringContaining(part)));
    };
    await shown({ service: "nova" }, "GET /compute");
    await shown({ method: "POST" }, "snapshots.create", "tokens.issue");
    await shown({ text: "OF-MONDAY" }, "snapshots.create");
    await shown({ status: "4xx" }, "GET /compute", "GET /volume");
    await shown({ text: "<b>" });
    await shown({}, "GET /compute", "GET /volume", "snapshots.create", "tokens.issue");
  });

  it("adds a fault rule by its form, shows what it did, and removes it", async () => {
    await fill("#add-fault [name=service]", "cinder");
    await fill("#add-fault [name=operation]", "snapshots.create");
    await fill("#add-fault [name=status]", "503");
    await fill("#add-fault [name=times]", "2");
    await click("#add-fault button");
    await page.until(`document.querySelectorAll("#fault-rows tr").length === 1`);
    expect(await rows("#fault-rows td")).toEqual([
      "fault-1",
      "service cinder, operation snapshots.create",
      "status 503",
      "0 of 2, 0 matched",
      "Remove",
    ]);
    await expect(createSnapshot(emulator, "refused")).rejects.toThrow("503");
    await page.until(`document.querySelector("#fault-rows .hits").textContent === "1 of 2, 1 matched"`);
    await page.until(`document.querySelector("#request-rows tr")?.textContent.includes("503fault-1")`);

    await click("#fault-rows button");
    await page.until(`document.querySelectorAll("#fault-rows tr").length === 0`);
    await createSnapshot(emulator, "accepted");
  });

  it("says what the emulator refuses", async () => {
    await fill("#add-fault [name=action]", "redirect");
    await click("#add-fault button");
    await page.until(`!document.querySelector("#message").hidden`);
    expect(await text("#message")).toContain('action "redirect" needs a location');
    await fill("#add-fault [name=location]", "http://127.0.0.1:1/");
    await click("#add-fault button");
    await page.until(`document.querySelector("#message").hidden`);
    await click("#clear-faults");
    await page.until(`document.querySelectorAll("#fault-rows tr").length === 0`);
  });

  it("treats names as text", async () => {
    const evil = `nightly<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
    const snapshot = await createSnapshot(emulator, evil);
    await page.until(`document.querySelector('[data-key="${snapshot}"]')`);
    expect(await text(`[data-key="${snapshot}"] .name`)).toBe(evil);
    expect(await page.evaluate("document.querySelectorAll('main img, main script').length")).toBe(0);
    expect(await page.evaluate("document.title")).toBe("Snapclone emulator");
  });

  it("can be used with the keyboard alone", async () => {
    await page.evaluate("document.activeElement?.blur(), document.querySelector('#tick-amount').focus()");
    await page.evaluate("document.activeElement.select()");
    await page.type("60");
    await page.press("Tab");
    await page.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Advance");
    const before = emulator.clock.now().getTime();
    await page.press("Enter", "\r");
    await page.until(`document.activeElement.textContent === "Advance"`);
    await page.until(
      `document.querySelector("#now").dateTime === ${JSON.stringify(new Date(before + 60_000).toISOString())}`,
    );
    expect(emulator.clock.now().getTime()).toBe(before + 60_000);
  });

  it("labels each control, and its colours have enough contrast in light and dark", async () => {
    await createSnapshot(emulator, "nightly");
    emulator.cinder.failNext({ create: "error" });
    await page.until(`document.querySelector("#services").textContent.includes("nightly")`);
    const unlabelled = await page.evaluate<string[]>(
      `[...document.querySelectorAll("input, select")]
        .filter((one) => one.labels.length === 0 && !one.getAttribute("aria-label")).map((one) => one.outerHTML)`,
    );
    expect(unlabelled).toEqual([]);
    for (const scheme of ["light", "dark"] as const) {
      await page.resize({ ...WIDE, scheme });
      expect(await page.evaluate<string[]>(LOW_CONTRAST)).toEqual([]);
    }
  });

  it("needs nothing from outside, and nothing is wider than a phone", async () => {
    await page.resize(NARROW);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(NARROW.width);
    await page.resize(WIDE);
    expect(page.requested.filter((url) => !url.startsWith(emulator.url) && url !== "data:,")).toEqual([]);
    expect(page.errors.filter((error) => !/status of 400/.test(error))).toEqual([]);
  });

  it("the picture in docs/emulator.md", async () => {
    if (process.env.UPDATE !== "1") return;
    await showcase(emulator);
    await page.resize(WIDE);
    await page.until(`document.querySelectorAll("#request-rows tr").length > 5`);
    // Nothing is highlighted any more.
    await page.until("document.querySelectorAll('.changed, .gone').length === 0");
    mkdirSync(IMAGES, { recursive: true });
    writeFileSync(join(IMAGES, `emulator-${WIDE.width}.png`), await page.screenshot());
  });
});

async function login(emulator: Emulator): Promise<string> {
  const { username, password } = emulator.openstack.connection();
  const user = { name: username, password, domain: { id: "default" } };
  const scope = { project: { name: "demo", domain: { id: "default" } } };
  const reply = await fetch(`${emulator.openstack.authUrl}/auth/tokens`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ auth: { identity: { methods: ["password"], password: { user } }, scope } }),
  });
  return reply.headers.get("x-subject-token") ?? "";
}

async function createSnapshot(emulator: Emulator, name: string): Promise<string> {
  const [volume] = emulator.cinder.volumes.values();
  const reply = await fetch(`${emulator.url}/volume/v3/${volume?.project_id}/snapshots`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Auth-Token": await login(emulator) },
    body: JSON.stringify({ snapshot: { volume_id: volume?.id, name } }),
  });
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  return ((await reply.json()) as { snapshot: { id: string } }).snapshot.id;
}

/** What the picture shows: one of each state. */
async function showcase(emulator: Emulator): Promise<void> {
  emulator.reset();
  await createSnapshot(emulator, "nightly-2026-11-26");
  emulator.cinder.failNext({ create: "error" });
  await createSnapshot(emulator, "nightly-2026-11-27");
  emulator.clock.tick(3000);
  emulator.faults.add({ match: { service: "cinder", operation: "snapshots.create", nth: 2 }, times: 2, status: 503 });
  emulator.faults.add({ match: { service: "vipr" }, action: "drop-response", times: Infinity });
  await createSnapshot(emulator, "nightly-2026-11-28");
  await createSnapshot(emulator, "before-upgrade").catch(() => undefined);
}

/** Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3). */
const LOW_CONTRAST = `(() => {
  const parsed = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((one) => one / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parsed(getComputedStyle(one).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  return [...document.querySelectorAll("body *:not(script)")].filter(hasText).flatMap((element) => {
    const [light, dark] = [luminance(parsed(getComputedStyle(element).color)), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    return contrast < 4.5 ? [element.outerHTML.slice(0, 80) + " " + contrast.toFixed(2)] : [];
  });
})()`;
