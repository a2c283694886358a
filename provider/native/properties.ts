// Property values between Pulumi's wire and the core. On the wire a secret is an object with a signature, and an unknown of
// a preview is a text for each type (sdk/go/common/resource/plugin/rpc.go of pulumi/pulumi). The core has plain values, one
// text for unknown, and the paths of the secrets.

import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { UNKNOWN } from "../core/check";
import type { Properties } from "../core/operation";
import { SIGNATURE_KEY } from "../core/util/assets";
import { type KeyPath, markSecret, SECRET_SIGNATURE } from "../pulumi/secrets";

export type SecretPath = KeyPath;

export interface Received {
  values: Properties;
  secrets: SecretPath[];
}

/** For bool, number, list, asset, archive and object. The one for string is the core's. */
const OTHER_UNKNOWNS = new Set([
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

export function receive(struct: Struct | undefined): Received {
  const secrets: SecretPath[] = [];
  const values = (struct === undefined ? {} : plain(struct.toJavaScript(), [], secrets)) as Properties;
  return { values, secrets };
}

function plain(value: unknown, path: SecretPath, secrets: SecretPath[]): unknown {
  if (typeof value === "string") return OTHER_UNKNOWNS.has(value) ? UNKNOWN : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((inner, index) => plain(inner, [...path, String(index)], secrets));
  const fields = value as Properties;
  if (fields[SIGNATURE_KEY] === SECRET_SIGNATURE) {
    secrets.push(path);
    return plain(fields.value, path, secrets);
  }
  return Object.fromEntries(Object.entries(fields).map(([key, inner]) => [key, plain(inner, [...path, key], secrets)]));
}

/** Marks the secrets again. Absent values are left out, since a Struct can't have them. */
export function send(values: Properties, secrets: readonly SecretPath[] = []): Struct {
  return Struct.fromJavaScript(marked(values, secrets) as { [key: string]: JavaScriptValue });
}

/** A check may drop, sort and trim the elements of a list: if one of them is secret, the whole list is. */
function marked(value: unknown, secrets: readonly SecretPath[]): unknown {
  const isLeaf = typeof value !== "object" || value === null;
  if (secrets.length > 0 && (isLeaf || Array.isArray(value) || secrets.some((path) => path.length === 0))) {
    return markSecret(marked(value, []));
  }
  if (isLeaf) return value;
  if (Array.isArray(value)) return value.map((inner) => marked(inner ?? null, []));
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (inner === undefined) return [];
      const within = secrets.filter(([first]) => first === key).map((path) => path.slice(1));
      return [[key, marked(inner, within)]];
    }),
  );
}
