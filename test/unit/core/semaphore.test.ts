import { Semaphore } from "../../../provider/core/util/semaphore";

function setUp(most: number) {
  const semaphore = new Semaphore(most);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (name: string, signal?: AbortSignal) =>
    semaphore.run(async () => {
      begun.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      return name;
    }, signal);
  return { semaphore, begun, start, end: (name: string) => ends.get(name)?.() };
}

test("so many at a time, the others in their order", async () => {
  const { begun, start, end } = setUp(2);
  const all = ["a", "b", "c", "d"].map((name) => start(name));
  expect(begun).toEqual(["a", "b"]);
  end("b");
  await all[1];
  await Promise.resolve();
  expect(begun).toEqual(["a", "b", "c"]);
  end("a");
  end("c");
  await all[2];
  await Promise.resolve();
  end("d");
  expect(await Promise.all(all)).toEqual(["a", "b", "c", "d"]);
});

test("an abort leaves the queue, and takes nobody's place", async () => {
  const { begun, start, end } = setUp(1);
  const first = start("a");
  const leaver = new AbortController();
  const left = start("b", leaver.signal);
  const last = start("c");
  leaver.abort();
  await expect(left).rejects.toMatchObject({ kind: "stopped" });
  end("a");
  await first;
  await Promise.resolve();
  end("c");
  expect(await last).toBe("c");
  expect(begun).toEqual(["a", "c"]);
});

test("failed work gives its slot back", async () => {
  const semaphore = new Semaphore(1);
  await expect(semaphore.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await semaphore.run(async () => "yes")).toBe("yes");
});
