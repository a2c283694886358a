// The page and the picture of `snapclone graph` in a real browser: well-formed, nothing loaded, nothing run.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { htmlDocument } from "../../cli/graph/html";
import { buildForest, type CopyNode, type Lineage } from "../../cli/graph/model";
import { svgDocument } from "../../cli/graph/svg";
import { Browser, describeWithBrowser } from "./chromium";

const EVIL = [
  "</svg><script>document.title='taken'</script>",
  `"><img src=x onerror="document.title='taken'">`,
  `' onload='document.title="taken"'`,
  "]]> &amp; <!-- \u0000 \ud800 \u202e",
  "</title></style></text><svg onload=alert(1)>",
];

function lineage(): Lineage {
  const nodes = EVIL.flatMap((text, at): CopyNode[] => [
    { key: `volume ${at}`, kind: "volume", id: text, name: text, state: text, owner: { is: "claimed", who: text } },
    {
      key: `snapshot ${text}`,
      kind: "snapshot",
      id: text,
      name: text,
      state: "available",
      createdAt: text,
      owner: { is: "other stack", who: text },
      parent: `volume ${at}`,
    },
  ]);
  const connection = { kind: "openstack", name: EVIL[0] ?? "" };
  return { connection, backend: EVIL.join(), now: new Date(), forest: buildForest(nodes), lone: 0, notes: EVIL };
}

describeWithBrowser("the page of snapclone graph", (chromium) => {
  let browser: Browser;
  let folder: string;

  beforeAll(() => {
    browser = Browser.start(chromium);
    folder = mkdtempSync(join(tmpdir(), "snapclone-graph-"));
    writeFileSync(join(folder, "graph.html"), htmlDocument([lineage()], new Date()));
    writeFileSync(join(folder, "graph.svg"), svgDocument([lineage()]));
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("shows foreign names as they are, and runs none of them", async () => {
    const url = pathToFileURL(join(folder, "graph.html")).href;
    const page = await browser.open(url, { width: 375, height: 800 });
    expect(await page.evaluate("document.title")).toBe("Lineage of copies");
    expect(await page.evaluate("document.querySelectorAll('script, img, [onload], [onerror]').length")).toBe(0);
    expect(await page.evaluate("document.querySelectorAll('tbody tr').length")).toBe(2 * EVIL.length);
    expect(await page.evaluate("document.querySelector('tbody').textContent")).toContain("<script>");
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(375);
    // The policy lets the page's own style in.
    expect(await page.evaluate("getComputedStyle(document.querySelector('.lineage .edge')).fill")).toBe("none");
    expect([page.errors, page.requested]).toEqual([[], [url]]);
  });

  it("draws a picture that is well-formed XML and stands alone", async () => {
    const url = pathToFileURL(join(folder, "graph.svg")).href;
    const page = await browser.open(url, { width: 1280, height: 800 });
    expect(await page.evaluate("document.querySelector('parsererror')?.textContent ?? ''")).toBe("");
    expect(await page.evaluate("document.documentElement.localName")).toBe("svg");
    expect(await page.evaluate("document.querySelectorAll('svg svg').length")).toBe(2 * EVIL.length);
    expect(await page.evaluate("document.querySelectorAll('script, [onload]').length")).toBe(0);
    expect([page.errors, page.requested]).toEqual([[], [url]]);
  });
});
