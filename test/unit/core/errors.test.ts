import { asSnapcloneError, SnapcloneError } from "../../../provider/core/errors";

test("an error keeps its cause, through a wider operation, too", () => {
  const cause = new TypeError("fetch failed");
  const error = new SnapcloneError({ kind: "transient", message: "Cinder cannot be reached", cause });
  expect([error.cause, error.withOperation("create snapshot").cause]).toEqual([cause, cause]);
  expect(asSnapcloneError(cause, "create snapshot").cause).toBe(cause);
});

test("an error without a cause has no `cause`", () => {
  expect("cause" in new SnapcloneError({ kind: "input", message: "no" })).toBe(false);
});
