// Where the commands write. Every text and every JSON document passes through the core's redaction.

import { styleText } from "node:util";
import { redact } from "../provider/core/errors";
import type { Io } from "./io";

export type Style = "bold" | "dim" | "green" | "yellow" | "red" | "cyan";

export class Output {
  private readonly hasColours: boolean;

  constructor(
    private readonly io: Pick<Io, "stdout" | "stderr" | "env" | "isTTY">,
    /** `--json`: the result is one JSON document, and texts go nowhere. */
    readonly json: boolean,
  ) {
    // https://no-color.org: any value that is not empty.
    this.hasColours = io.isTTY && !json && !io.env.NO_COLOR;
  }

  /** A line of the result for people. Not written with `--json`. */
  line(text = ""): void {
    if (!this.json) this.io.stdout.write(`${redact(text)}\n`);
  }

  /** The result as JSON. Written with `--json` only. */
  result(value: unknown): void {
    if (this.json) this.io.stdout.write(`${redact(JSON.stringify(value, undefined, 2))}\n`);
  }

  /** What is no part of the result: progress, warnings, questions, errors. */
  note(text: string): void {
    this.io.stderr.write(`${redact(text)}\n`);
  }

  style(style: Style, text: string): string {
    return this.hasColours ? styleText(style, text) : text;
  }

  /** Columns of equal width, two blanks apart. The last column keeps its length. */
  table(rows: readonly (readonly string[])[], indent = ""): void {
    // Redact first: a redacted text has another length.
    const clean = rows.map((row) => row.map((cell) => redact(cell)));
    const widths: number[] = [];
    for (const row of clean) {
      for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, visibleLength(cell));
    }
    for (const row of clean) {
      const cells = row.map((cell, at) =>
        at === row.length - 1 ? cell : cell + " ".repeat((widths[at] ?? 0) - visibleLength(cell)),
      );
      this.line(`${indent}${cells.join("  ")}`.trimEnd());
    }
  }
}

/** Without the escape sequences of colours. */
function visibleLength(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a colour.
  return text.replaceAll(/\u001b\[[0-9;]*m/g, "").length;
}
