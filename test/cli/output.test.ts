// What reaches the terminal: whatever a backend names its objects, no text moves the cursor, colours or hides a line.

import fc from "fast-check";
import { Output, type Style, wrap } from "../../cli/output";
import { printableJson } from "../../cli/printable";
import { type Emulator, SEED_VOLUMES, startEmulator } from "../../emulator";
import { snapclone, stackConfig } from "./fixture";

/** Of a name that a user gives: without a line feed. */
const OWN = "a\u001b[2J\u202e";
const EVIL = "a\u001b[2J\u001b]0;title\u0007\u009b31m\r\nok  forged line\u202egpj\u2028\u007f";
/** Without the line feeds that end lines, and without the colours of `style`. */
const UNPRINTABLE = /(?!\n)[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a colour.
const COLOUR = /\u001b\[(?:1|2|22|3[1-6]|39)m/g;

function outputOf(isTTY: boolean, json = false) {
  const written: string[] = [];
  const sink = { write: (text: string) => written.push(text) };
  return { output: new Output({ stdout: sink, stderr: sink, env: {}, isTTY }, json), text: () => written.join("") };
}

test.each([true, false])("every form of output, on a terminal: %s", (isTTY) => {
  const foreign = fc.oneof(fc.constant(EVIL), fc.string({ unit: "binary" }), fc.string());
  const styles = fc.constantFrom<Style>("bold", "dim", "green", "yellow", "red", "cyan");
  fc.assert(
    fc.property(foreign, foreign, styles, (one, more, style) => {
      const other = `.${more}`;
      const { output, text } = outputOf(isTTY);
      output.line(one, output.style(style, other), one);
      output.table([[one, output.style(style, other), one]], "  ");
      // One line each, whatever is in it.
      expect(text().split("\n")).toHaveLength(3);
      output.note(one);
      expect(text().replaceAll(COLOUR, "")).not.toMatch(UNPRINTABLE);
      const colours = text().match(COLOUR) ?? [];
      expect(colours.length).toBe(isTTY ? 4 : 0);
    }),
  );
});

test("prose is broken at blanks: no word, no line too long but by a single word", () => {
  const words = fc.array(fc.stringMatching(/^\S{1,30}$/), { minLength: 1 });
  fc.assert(
    fc.property(words, fc.integer({ min: 30, max: 120 }), fc.nat(60), (given, columns, indent) => {
      const text = given.join(" ");
      const lines = wrap(text, columns, indent);
      expect(lines.join(" ")).toBe(text);
      for (const line of lines) {
        expect(line.length <= Math.max(columns - indent, 24) || !line.includes(" ")).toBe(true);
      }
      expect(wrap(text, undefined, indent)).toEqual([text]);
    }),
  );
});

test("the help and doctor's report fit into a terminal of 80 columns", async () => {
  for (const argv of [
    ["--help"],
    ...["doctor", "orphans", "import", "graph", "emulator"].map((name) => [name, "--help"]),
  ]) {
    const { stdout } = await snapclone(argv, { isTTY: true, columns: 80 });
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    const { stdout: whole } = await snapclone(argv);
    expect(stdout.replace(/\s+/g, " ")).toBe(whole.replace(/\s+/g, " "));
  }
  const { stdout } = await snapclone(["doctor"], { isTTY: true, columns: 60, env: { NO_COLOR: "1" } });
  const tooLong = stdout.split("\n").filter((line) => line.length > 60);
  expect(tooLong).toEqual([]);
  expect(stdout).toContain("\n           ");
});

test("JSON stays the same document", () => {
  fc.assert(
    fc.property(fc.oneof(fc.constant(EVIL), fc.string({ unit: "binary" })), (name) => {
      const { output, text } = outputOf(true, true);
      output.result({ [name]: [name] });
      expect(text()).not.toMatch(UNPRINTABLE);
      expect(JSON.parse(text())).toEqual({ [name]: [name] });
    }),
  );
  expect(JSON.parse(printableJson(JSON.stringify({ a: "\u009b" })))).toEqual({ a: "\u009b" });
});

describe("a snapshot with a hostile name", () => {
  let emulator: Emulator;
  let id: string;
  beforeAll(async () => {
    emulator = await startEmulator({ clock: "instant" });
    const owner = `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:Snapshot::${EVIL}`;
    const metadata = { "snapclone:owner": owner, "snapclone:stack": "f00d" };
    ({ id } = emulator.cinder.createSnapshot({
      volume_id: SEED_VOLUMES.data,
      name: EVIL,
      description: EVIL,
      metadata,
    }));
  });
  afterAll(() => emulator.close());

  test.each([
    ["orphans", "--kind", "openstack"],
    ["graph", "default"],
    ["import", "Snapshot", OWN],
    ["doctor", "default"],
    ["doctor", OWN],
    ["orphans", "--connection", OWN],
    ["graph", OWN],
  ])("%s", async (...argv) => {
    const named = argv[0] === "import" ? [...argv, id] : argv;
    for (const more of [[], ["--json"]]) {
      const setup = { stdin: stackConfig(emulator.connections()), isTTY: true, env: { LANG: "C.UTF-8" } };
      const { stdout, stderr } = await snapclone([...named, "--stack-config", "-", ...more], setup);
      expect((stdout + stderr).replaceAll(COLOUR, "")).not.toMatch(UNPRINTABLE);
      expect((stdout + stderr).split("\n").filter((line) => /^ *ok {2}forged/.test(line))).toEqual([]);
    }
  });

  test("the program's lines name it by escapes, which TypeScript reads as the same name", async () => {
    const setup = { stdin: stackConfig(emulator.connections()) };
    const { stdout } = await snapclone(["import", "Snapshot", "s", id, "--stack-config", "-"], setup);
    const literal = /^ {2}name: (".*"),$/m.exec(stdout)?.[1] ?? "";
    expect(new Function(`return ${literal}`)()).toBe(EVIL);
  });
});
