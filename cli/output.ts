// Where the commands write. Every text and every JSON document passes through the core's redaction, and no foreign name can
// move a terminal's cursor: colours are made here, from what `style` says.

import { styleText } from "node:util";
import { redact } from "../provider/core/errors";
import type { Io } from "./io";
import { printable, printableJson, printableLines } from "./printable";

export type Style = "bold" | "dim" | "green" | "yellow" | "red" | "cyan";

/** Text in a colour. */
export interface Styled {
  readonly text: string;
  readonly style: Style;
}

/** A part of a line, or a cell of a table. */
export type Part = string | Styled;

export class Output {
  private readonly hasColours: boolean;

  constructor(
    private readonly io: Pick<Io, "stdout" | "stderr" | "env" | "isTTY" | "columns">,
    /** `--json`: the result is one JSON document, and texts go nowhere. */
    readonly json: boolean,
  ) {
    // https://no-color.org: any value that is not empty.
    this.hasColours = io.isTTY && !json && !io.env.NO_COLOR;
  }

  /** A line of the result for people. Not written with `--json`. */
  line(...parts: readonly Part[]): void {
    if (!this.json) this.io.stdout.write(`${parts.map((part) => this.shown(clean(part))).join("")}\n`);
  }

  /** A line of prose. On a terminal it is broken at blanks, and its further lines begin below the text. */
  paragraph(before: readonly Part[], text: string): void {
    // Clean first: a redacted text has another length, and a secret that is broken in two is not redacted.
    const indent = before.reduce((width, part) => width + clean(part).text.length, 0);
    const [first = "", ...more] = wrap(clean(text).text, this.io.columns, indent);
    this.line(...before, first);
    for (const line of more) this.line(" ".repeat(indent), line);
  }

  /** The result as JSON. Written with `--json` only. */
  result(value: unknown): void {
    if (this.json) this.io.stdout.write(`${printableJson(redact(JSON.stringify(value, undefined, 2)))}\n`);
  }

  /** What is no part of the result: progress, warnings, questions, errors. May have several lines. */
  note(text: string): void {
    this.io.stderr.write(`${printableLines(redact(text))}\n`);
  }

  style(style: Style, text: string): Styled {
    return { style, text };
  }

  /** Columns of equal width, two blanks apart. The last column keeps its length. */
  table(rows: readonly (readonly Part[])[], indent = ""): void {
    // Clean first: a redacted text has another length.
    const cleaned = rows.map((row) => row.map(clean));
    const widths: number[] = [];
    for (const row of cleaned) {
      for (const [at, { text }] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, text.length);
    }
    for (const row of cleaned) {
      const cells = row.map((cell, at) => {
        const isLast = at === row.length - 1;
        return this.shown(cell) + (isLast ? "" : " ".repeat((widths[at] ?? 0) - cell.text.length));
      });
      if (!this.json) this.io.stdout.write(`${`${indent}${cells.join("  ")}`.trimEnd()}\n`);
    }
  }

  private shown({ text, style }: Clean): string {
    return this.hasColours && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Less room than that for a text would make a column of single words. */
const NARROWEST = 24;

/** The lines of a text that begins in the column `indent`. Blanks at the beginning of a text stay. */
export function wrap(text: string, columns: number | undefined, indent: number): string[] {
  if (columns === undefined) return [text];
  const room = Math.max(columns - indent, NARROWEST);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && longer.length > room) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

interface Clean {
  text: string;
  style?: Style | undefined;
}

function clean(part: Part): Clean {
  const { text, style }: Clean = typeof part === "string" ? { text: part } : part;
  return { text: printable(redact(text)), style };
}
