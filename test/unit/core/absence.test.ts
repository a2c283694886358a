import { AbsenceTimer, orUndefined } from "../../../provider/core/absence";
import { SnapcloneError } from "../../../provider/core/errors";
import { FakeClock } from "../../support/fakeClock";

test("an absence is proven when every answer of half a minute says so", async () => {
  const clock = new FakeClock();
  const absence = new AbsenceTimer(clock);
  expect(absence.isProven(false)).toBe(false);
  await clock.run(() => clock.sleep(29_000));
  expect(absence.isProven(true)).toBe(false);
  expect(absence.isProven(false)).toBe(false);
  await clock.run(() => clock.sleep(30_000));
  expect(absence.isProven(false)).toBe(true);
});

const notFound = new SnapcloneError({ kind: "notFound", message: "no such volume" });

test("orUndefined: the answer, undefined for a proven absence, and any other error as it is", async () => {
  expect(await orUndefined(Promise.resolve("row"))).toBe("row");
  expect(await orUndefined(Promise.reject(notFound))).toBeUndefined();
  const forbidden = new SnapcloneError({ kind: "forbidden", message: "no" });
  await expect(orUndefined(Promise.reject(forbidden))).rejects.toBe(forbidden);
});

test("orUndefined: the caller says what proves the absence", async () => {
  await expect(orUndefined(Promise.reject(notFound), () => false)).rejects.toBe(notFound);
});
