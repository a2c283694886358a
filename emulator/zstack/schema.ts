// The `schema` of an answer: the Java class of each object in it. The SDKs make typed objects by it
// (docs/wire/zstack.md#schema).

import { isObject } from "../core/http";

const CLASS = Symbol("Java class");

/** Names the class that the server's object has. The name is in no answer but its schema. */
export function ofClass<Fields extends object>(name: string, fields: Fields): Fields {
  return { ...fields, [CLASS]: `org.zstack.${name}` };
}

/** The classes by path. Outer objects come before what they contain, and later ones before earlier ones. */
export function schemaOf(body: object): Record<string, string> {
  const found: [string, string][] = [];
  collect(body, "", found);
  return Object.fromEntries(found.reverse());
}

function collect(value: unknown, path: string, found: [string, string][]): void {
  if (!isObject(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    const own = path === "" ? key : `${path}.${key}`;
    if (Array.isArray(inner)) for (const [index, item] of inner.entries()) collect(item, `${own}[${index}]`, found);
    else collect(inner, own, found);
  }
  const name = Reflect.get(value, CLASS);
  if (path !== "" && typeof name === "string") found.push([path, name]);
}
