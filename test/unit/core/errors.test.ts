import { inspect } from "node:util";
import { asSnapcloneError, registerSecret, SnapcloneError } from "../../../provider/core/errors";
import { codeOf } from "../../../provider/core/http/nodeErrors";

test("an error keeps its cause, through a wider operation, too", () => {
  const cause = Object.assign(new TypeError("fetch failed"), { code: "ECONNREFUSED" });
  const error = new SnapcloneError({ kind: "transient", message: "Cinder cannot be reached", cause });
  for (const one of [error, error.withOperation("create snapshot"), asSnapcloneError(cause, "create snapshot")])
    expect(one.cause).toMatchObject({
      name: "TypeError",
      message: "fetch failed",
      code: "ECONNREFUSED",
      stack: cause.stack,
    });
});

test("whoever inspects an error sees no secret in its causes, at any depth and of any type", () => {
  registerSecret("hunter2-of-the-cause");
  const told = "the proxy http://ann:hunter2-of-the-cause@proxy refused hunter2-of-the-cause";
  const circle = new Error(told);
  circle.cause = circle;
  const causes: unknown[] = [
    new Error(told),
    new TypeError("outer", { cause: new Error(told, { cause: told }) }),
    Object.assign(new Error("with more"), { headers: { authorization: told } }),
    { headers: { authorization: told } },
    told,
    circle,
    new AggregateError([new Error(told)], "several"),
  ];
  for (const cause of causes) {
    const error = new SnapcloneError({ kind: "transient", message: "Cinder cannot be reached", cause });
    for (const one of [error, error.withOperation("create snapshot"), asSnapcloneError(cause, "create snapshot")]) {
      expect(inspect(one, { depth: 20 })).not.toContain("hunter2");
      expect(one.cause).toBeDefined();
    }
  }
});

test("the code of a connection that failed at each address of a host stays readable", () => {
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  const cause = new Error("outer", { cause: new AggregateError([refused, refused]) });
  const error = new SnapcloneError({ kind: "transient", message: "Cinder cannot be reached", cause });
  expect(codeOf(error.withOperation("create snapshot").cause)).toBe("ECONNREFUSED");
});

test("an error without a cause has no `cause`", () => {
  expect("cause" in new SnapcloneError({ kind: "input", message: "no" })).toBe(false);
});
