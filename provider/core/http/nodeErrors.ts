// Reads errors of Node.js and undici, where the code and the message of interest often belong to an inner cause.

import { truncate } from "../errors";

/** The outermost code: "ECONNREFUSED"; empty where no cause has one. */
export function codeOf(error: unknown): string {
  // Not by `instanceof`: under Jest, Node's own errors come from another realm.
  for (let at = error; typeof at === "object" && at !== null; at = Reflect.get(at, "cause")) {
    const code: unknown = Reflect.get(at, "code");
    if (typeof code === "string") return code;
    // Happy eyeballs: every address of the host failed. The first error stands for all.
    const errors: unknown = Reflect.get(at, "errors");
    if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  }
  return "";
}

/** The message of the innermost cause. */
export function deepest(error: unknown): string {
  let at = error;
  while (typeof at === "object" && at !== null && Reflect.get(at, "cause")) at = Reflect.get(at, "cause");
  return truncate(String(Reflect.get(Object(at), "message") ?? at), 200);
}
