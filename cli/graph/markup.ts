// Builds SVG and HTML. A value in a `markup` template is text and gets escaped, unless a `markup` template made it: nothing
// foreign can become an element or an attribute because somebody forgot to escape it.

/** XML that may be put into other XML. Only `markup` makes one of foreign text. */
export class Markup {
  constructor(readonly text: string) {}
}

type Value = Markup | readonly Markup[] | string | number;

/** Attribute values must be in double quotes. */
export function markup(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
  const parts = strings.map((fixed, at) => fixed + (at < values.length ? inserted(values[at] ?? "") : ""));
  return new Markup(parts.join(""));
}

function inserted(value: Value): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === "string" || typeof value === "number") return escaped(String(value));
  return value.map(({ text }) => text).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return (
    text
      // A half of a surrogate pair is no character.
      .replaceAll(/\p{Cs}/gu, "\ufffd")
      // Not allowed in XML 1.0, not even as a reference (https://www.w3.org/TR/xml/#charsets).
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant.
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replaceAll(/[&<>"']/g, (one) => ENTITIES[one] ?? one)
  );
}
