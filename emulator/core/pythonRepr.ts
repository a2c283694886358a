// Python on the wire: repr() in error messages, dict literals in filters.

/** repr() of a value that came from JSON. */
export function repr(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return reprString(value);
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([key, item]) => `${reprString(key)}: ${repr(item)}`)
      .join(", ")}}`;
  return String(value);
}

/** str(): repr(), except that a string has no quotes. */
export function str(value: unknown): string {
  return typeof value === "string" ? value : repr(value);
}

/**
 * Parses a flat dict literal, `{"k": "v"}` or `{'k': 'v'}`; undefined for any other text. Cinder reads the metadata
 * filter with ast.literal_eval (`cinder/api/v3/snapshots.py` _format_snapshot_filter_options), which takes both.
 */
export function parseDictLiteral(text: string): Record<string, unknown> | undefined {
  const tokens = text.trim().match(LITERAL_TOKENS);
  if (tokens === null || tokens.join("") !== text.replace(OUTSIDE_STRINGS, (_, quoted) => quoted ?? ""))
    return undefined;
  if (tokens.shift() !== "{" || tokens.pop() !== "}") return undefined;
  const result: Record<string, unknown> = {};
  for (let index = 0; index < tokens.length; index += 4) {
    const [key, colon, value, comma] = tokens.slice(index, index + 4);
    if (key === undefined || value === undefined || colon !== ":" || (comma !== undefined && comma !== ","))
      return undefined;
    const name = literal(key);
    if (typeof name !== "string") return undefined;
    result[name] = literal(value);
  }
  return result;
}

const QUOTED = String.raw`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"`;
const LITERAL_TOKENS = new RegExp(String.raw`${QUOTED}|[{}:,]|None|True|False|-?\d+(?:\.\d+)?`, "g");
const OUTSIDE_STRINGS = new RegExp(String.raw`(${QUOTED})|\s+`, "g");

function literal(token: string): unknown {
  if (token === "None") return null;
  if (token === "True") return true;
  if (token === "False") return false;
  if (/^["']/.test(token))
    return token
      .slice(1, -1)
      .replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (_, byte, unit, char) =>
        char === undefined ? String.fromCharCode(Number.parseInt(byte ?? unit, 16)) : (ESCAPES[char] ?? char),
      );
  return Number(token);
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

function reprString(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  let text = "";
  for (const char of value) {
    if (char === "\\" || char === quote) text += `\\${char}`;
    else if (char === "\n") text += "\\n";
    else if (char === "\r") text += "\\r";
    else if (char === "\t") text += "\\t";
    else if (char === " " || !/[\p{C}\p{Z}]/u.test(char)) text += char;
    else text += escaped(char.codePointAt(0) ?? 0);
  }
  return `${quote}${text}${quote}`;
}

function escaped(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}
