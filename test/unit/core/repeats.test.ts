import { SnapcloneError } from "../../../provider/core/errors";
import { PartialFailure } from "../../../provider/core/outputs";
import { Repeats } from "../../../provider/core/repeats";

const failed = (kind: "refused" | "notFound", message: string) => new SnapcloneError({ kind, message });
const left = (id: string) =>
  new PartialFailure(id, { pending: { operation: "create" } }, failed("refused", "too slow"));

describe("an operation that an error hook has repeated", () => {
  const fails = (repeats: Repeats, error: Error, seen: unknown[] = []) =>
    repeats
      .answer("a", "create a", async (earlier) => {
        seen.push(earlier?.id);
        throw error;
      })
      .catch((thrown: unknown) => thrown);

  test("gets what its latest failure has left, until it succeeds", async () => {
    const [repeats, seen] = [new Repeats(), [] as unknown[]];
    await fails(repeats, left("1"), seen);
    await fails(repeats, left("2"), seen);
    await repeats.answer("b", "create b", async (earlier) => seen.push(earlier));
    await repeats.answer("a", "create a", async (earlier) => seen.push(earlier?.id));
    await repeats.answer("a", "create a", async (earlier) => seen.push(earlier));
    expect(seen).toEqual([undefined, "1", undefined, "2", undefined]);
  });

  test("keeps it on record if it fails before it has anything of its own", async () => {
    const repeats = new Repeats();
    await fails(repeats, left("1"));
    expect(await fails(repeats, failed("refused", "no route"))).toMatchObject({
      id: "1",
      properties: { pending: { operation: "create" } },
      reasons: ["cannot create a: no route"],
    });
    const gone = failed("notFound", "it is gone");
    expect(await fails(repeats, gone)).toBe(gone);
  });
});
