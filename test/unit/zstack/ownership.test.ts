// The texts of the provider's tags: names and URNs of any form are read back, and old forms stay readable.

import fc from "fast-check";
import {
  memberTag,
  type PendingCreate,
  pendingCreateTag,
  readTags,
  tagsOfStack,
  urnPrefix,
} from "../../../provider/zstack/clonedVm/ownership";

const SET = "0123456789abcdef0123456789abcdef";
const JOB = "fedcba9876543210fedcba9876543210";
const OWNER = "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/snapclone:ClonedVm::web";
const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const record = fc.record({
  stack: hex(32),
  attempt: hex(16),
  inputs: hex(32),
  owner: fc.oneof(
    fc.constant(""),
    fc.string().map((name) => `${OWNER}${name}`),
  ),
});
const row = (tag: string) => ({ uuid: JOB, resourceUuid: SET, tag });
const only = (tag: string) => readTags([row(tag)]).get(SET);

test("memberTag: is read back as it was written", () => {
  const member = fc.record({
    set: fc.constant(SET),
    // Tags of early builds do not name their VM.
    vm: fc.option(fc.constant(SET), { nil: undefined }),
    // Of an imported VM the time is not known.
    time: fc.option(fc.integer({ min: 1, max: 2_000_000_000 }), { nil: undefined }),
    disks: fc.array(hex(32), { maxLength: 24 }),
    record,
    name: fc.string({ minLength: 1 }),
  });
  fc.assert(
    fc.property(member, (written) => {
      expect(only(memberTag(written))?.members).toEqual([{ ...written, tagUuid: JOB, vmUuid: SET }]);
    }),
  );
});

test("memberTag: counts on no other VM than the one that it was written on", () => {
  const record = { stack: "s", attempt: "a", inputs: "i", owner: OWNER };
  const written = { set: SET, vm: JOB, time: 1, disks: [JOB], record, name: "web" };
  expect(only(memberTag(written))?.members).toEqual([]);
  expect(only(memberTag({ ...written, vm: SET.toUpperCase() }))?.members).toHaveLength(1);
});

test("pendingCreateTag: is read back as it was written", () => {
  const intent = fc.record<PendingCreate>({
    set: fc.constant(SET),
    job: fc.constant(JOB),
    until: fc.nat(2_000_000_000),
    time: fc.nat(2_000_000_000),
    clones: fc.nat(1000),
    disks: fc.nat(24),
    record,
    isOld: fc.constant(false),
  });
  fc.assert(
    fc.property(intent, (written) => {
      expect(only(pendingCreateTag(written))?.pendingCreates).toEqual([{ ...written, tagUuid: JOB, vmUuid: SET }]);
    }),
  );
});

test("tagsOfStack: matches all tags of a stack, old forms included", () => {
  const like = tagsOfStack(urnPrefix(OWNER)).replace(/^tag~=/, "");
  const pattern = new RegExp(`^${like.replaceAll("%", ".*")}$`);
  const common = { stack: "s", attempt: "a", inputs: "i", owner: OWNER };
  const tags = [
    memberTag({ set: SET, vm: SET, time: 1, disks: [], record: common, name: "web" }),
    pendingCreateTag({ set: SET, job: JOB, until: 1, time: 1, clones: 1, disks: 0, record: common }),
    `snapclone::open::${SET}::${JOB}::1::${"0".repeat(32)}::${OWNER}`,
  ];
  for (const tag of tags) expect(tag).toMatch(pattern);
  expect(tags[0]?.replace("::shop::", "::other::")).not.toMatch(pattern);
});

test("readTags: reads tags of early builds", () => {
  expect(only(`snapclone::open::${SET}::${JOB}::7::ff::${OWNER}`)?.pendingCreates).toMatchObject([
    { job: JOB, until: 7, isOld: true, record: { stack: "", inputs: "ff", owner: OWNER } },
  ]);
  expect(only(`snapclone::job::${SET}::${JOB}::7`)?.pendingCreates).toMatchObject([{ job: JOB, isOld: true }]);
  expect(only(`snapclone::set::${SET}`)?.members).toMatchObject([{ vmUuid: SET, disks: [] }]);
  expect(only(`snapclone::disk::${SET}::${JOB}`)?.oldDisks).toEqual([{ volume: SET, vm: JOB }]);
  expect(only(`snapclone::adopted::${SET}::run`)?.oldAdoptions).toHaveLength(1);
});

test("readTags: leaves out foreign tags", () => {
  fc.assert(fc.property(fc.string(), (tag) => expect(readTags([row(tag)]).size).toBe(0)));
  for (const tag of ["snapclone::set::short", `other::set::${SET}`, "snapclone::", "snapclone::set"]) {
    expect(only(tag)).toBeUndefined();
  }
});
