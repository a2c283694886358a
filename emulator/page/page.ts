// The page at `/`: one answer with its style and its program inside, which loads nothing but the control API.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Reply } from "../core/http";

export function pageReply(): Reply {
  reply ??= build();
  return reply;
}

let reply: Reply | undefined;

function build(): Reply {
  const style = source("style.css");
  const program = source("client.js");
  // A function as replacement: a text would have its `$` patterns expanded.
  const body = source("index.html")
    .replace("/* style.css */", () => style)
    .replace("/* client.js */", () => program);
  const policy = [
    "default-src 'none'",
    `style-src '${sha256(style)}'`,
    `script-src '${sha256(program)}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    status: 200,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": policy.join("; "),
      "Cache-Control": "no-store",
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
    },
    body,
  };
}

function source(name: string): string {
  return readFileSync(join(__dirname, name), "utf8");
}

function sha256(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
