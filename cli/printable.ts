// Foreign text for a terminal, a program or a page.

/** Control characters, lone surrogates, and what reverses the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Foreign names may hold what moves a terminal's cursor or reverses the direction of the text. Such characters are
 * shown by their numbers.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
}

/** For text whose line breaks must stay, such as an error with its hint. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** JSON has its own form of the same characters: only strings can have them, since JSON.stringify writes line feeds alone. */
export function printableJson(json: string): string {
  const escaped = (one: string) => `\\u${(one.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  return json
    .split("\n")
    .map((line) => line.replaceAll(UNPRINTABLE, escaped))
    .join("\n");
}
