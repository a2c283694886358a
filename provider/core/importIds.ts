// What the importers of sets share: the ids of several objects in the one text of the option `import`.

import * as z from "zod";
import { SnapcloneError } from "./errors";

export function idsIn(text: string): string[] {
  return text.split(",").map((one) => one.trim());
}

/**
 * The text in its normal form. `list` says what the ids must be, and `noun` what one of them is. `sorted`: their order says
 * nothing, so the same ids in another order are the same option.
 */
export function idList(id: z.ZodType<string>, noun: string, list: string, order: "as given" | "sorted" = "as given") {
  return z.string("must be a text").transform((text, context): string => {
    const ids = idsIn(text).map((one) => id.safeParse(one));
    const isTwice = new Set(ids.map(({ data }) => data)).size < ids.length;
    if (ids.some(({ success }) => !success)) context.addIssue({ code: "custom", message: list });
    else if (isTwice) context.addIssue({ code: "custom", message: `names one ${noun} twice` });
    const normal = ids.map(({ data }) => data);
    return (order === "sorted" ? normal.sort() : normal).join(",");
  });
}

/** The program or the option is wrong about what exists. */
export function wrongImport(message: string, hint?: string): SnapcloneError {
  return new SnapcloneError({ kind: "input", message: `${message}; nothing was changed`, hint });
}
