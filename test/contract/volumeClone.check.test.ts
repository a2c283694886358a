// What a VolumeClone refuses before anything is sent.

import { check, UNKNOWN } from "../../provider/core/check";
import { create, update } from "../../provider/core/lifecycle";
import { partial } from "../support/failures";
import { DATA, NEWS, VolumeCloneFixture } from "./volumeCloneFixture";

const fixture = new VolumeCloneFixture();
const { definition, newRun, requests, start } = fixture;
afterEach(fixture.close);

describe("check", () => {
  test("reports all wrong inputs at once, each with its path, and sends nothing", async () => {
    await start();
    const bad = {
      volumes: [DATA, "my-volume", DATA.toUpperCase(), 7],
      displayName: "x".repeat(241),
      description: "y".repeat(256),
      targetVolumeTypeId: "ssd",
      triggers: "monday",
      connection: "",
      displyName: "typo",
    };
    expect(check(definition, {}, bad).failures).toEqual([
      { property: "displyName", reason: "unknown property; did you mean displayName?" },
      { property: "volumes[1]", reason: expect.stringContaining("UUID of a volume") },
      { property: "volumes[2]", reason: "is the same volume as volumes[0]" },
      { property: "volumes[3]", reason: expect.stringContaining("UUID of a volume") },
      { property: "displayName", reason: expect.stringContaining("240 characters") },
      { property: "description", reason: "must not be longer than 255 characters" },
      { property: "targetVolumeTypeId", reason: expect.stringContaining("UUID of a volume type") },
      { property: "triggers", reason: "must be a list" },
      { property: "connection", reason: "must be the name of a connection" },
    ]);
    expect(check(definition, {}, {}).failures).toEqual([{ property: "volumes", reason: "is required" }]);
    expect(check(definition, {}, { volumes: [] }).failures).toEqual([
      { property: "volumes", reason: "must have at least one volume" },
    ]);
    expect(check(definition, {}, { volumes: "all", displayName: " " }).failures).toHaveLength(2);
    expect(
      check(definition, {}, { volumes: [DATA], displayName: "snapclone-0123456789abcdef01234567" }).failures,
    ).toHaveLength(1);
    expect(fixture.emulator.requests.length).toBe(0);
  });

  test.each(["displayName", "description"])("refuses characters in %s that Cinder refuses", async (input) => {
    await start();
    const failures = (text: string) => check(definition, {}, { volumes: [DATA], [input]: text }).failures;
    const reason = (text: string) => ({ property: input, reason: expect.stringContaining(text) });
    expect(failures("before 🚀")).toEqual([reason("above U+FFFE")]);
    expect(failures("\uffff")).toEqual([reason("above U+FFFE")]);
    expect(failures("two\nlines")).toEqual([reason("line breaks")]);
    expect(failures(" \ufffe ä ")).toEqual([]);
  });

  test("accepts unknown values of a preview, and the sample of IBM's document", async () => {
    await start();
    expect(check(definition, {}, { volumes: UNKNOWN }).failures).toEqual([]);
    expect(check(definition, {}, { volumes: [UNKNOWN, DATA, UNKNOWN] }).failures).toEqual([]);
    const sample = {
      displayName: "display_name",
      description: "description",
      volumes: ["714a7ea5-4ec1-4272-81ec-c806973bc45b", "714a8ea5-8abd-4367-91ec-bcf06973bc67"],
      targetVolumeTypeId: "9577a6ab-d726-470c-a556-928a9a5af963",
    };
    expect(check(definition, {}, sample)).toEqual({ failures: [], inputs: sample });
  });

  test("create: a display name that is too long with this server's prefix fails before any clone is renamed", async () => {
    await start();
    fixture.emulator.powervc.prefix = "a rather long prefix ";
    const failure = await partial(create(definition, newRun(), { ...NEWS, displayName: "x".repeat(240) }));
    expect(failure.reasons[0]).toMatch(/would have 263 characters, and Cinder takes 255/);
    const { outs } = await update(definition, newRun(), failure.id, failure.properties, NEWS);
    expect(outs).toMatchObject({ clonedVolumes: [{ name: "a rather long prefix before-1" }, {}, {}] });
    expect(requests("clones.create")).toBe(1);
  });
});
