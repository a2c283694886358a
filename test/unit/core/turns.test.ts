import { Turns } from "../../../provider/core/turns";

const [ann, bob] = [{ name: "ann" }, { name: "bob" }];

test("one at a time, for each thing", () => {
  const turns = new Turns();
  expect(turns.take("a", ann)).toBe(true);
  expect(turns.take("a", ann)).toBe(true);
  expect(turns.take("a", bob)).toBe(false);
  expect(turns.take("b", bob)).toBe(true);
  turns.leave("a", bob);
  expect(turns.take("a", bob)).toBe(false);
  turns.leave("a", ann);
  expect(turns.take("a", bob)).toBe(true);
});

test("who waits is told, and may go away", async () => {
  const turns = new Turns();
  turns.take("a", ann);
  const [patient, hasty] = [new AbortController(), new AbortController()];
  const told = turns.left(patient.signal);
  const gone = turns.left(hasty.signal);
  hasty.abort(new Error("enough"));
  await expect(gone).rejects.toThrow("enough");
  await expect(turns.left(hasty.signal)).rejects.toThrow("enough");
  turns.leave("a", ann);
  await told;
});
