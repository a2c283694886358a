// The pages quote the program's messages word for word. troubleshooting.test.ts checks the headings of its own page.

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import ts from "typescript";

const ROOT = resolve(__dirname, "..", "..");
/** Their quotations are those of other programs, or have a test of their own. */
const LEFT_OUT = ["compatibility.md", "faults.md", "troubleshooting.md"];
/** What Pulumi's engine says about a plugin. */
const OTHERS = [
  "Could not automatically download and install resource plugin 'pulumi-resource-snapclone'",
  "no resource plugin 'pulumi-resource-snapclone' found",
];
/** In a message: a value that the program fills in. */
const VALUE = "\0";

const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md") && !LEFT_OUT.includes(name));
const messages = ["provider", "sdk", "cli", "emulator"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) => messagesIn(join(ROOT, folder, name))),
);

function messagesIn(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const text = textOf(node);
    if (text?.includes(" ")) found.push(text);
    // A part of a message would match a quotation whose other parts are wrong.
    if (ts.isTemplateExpression(node)) for (const { expression } of node.templateSpans) visit(expression);
    else if (text === undefined) ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest));
  return found;
}

/** What the node evaluates to, if that is a text. */
function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => VALUE + literal.text).join("");
  }
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return undefined;
  const [left, right] = [textOf(node.left), textOf(node.right)];
  return left === undefined && right === undefined ? undefined : (left ?? VALUE) + (right ?? VALUE);
}

/** Spans of code that are sentences: no programs, no commands, no types, and no forms with a NAME. */
function quotationsOf(page: string): string[] {
  const prose = readFileSync(join(ROOT, "docs", page), "utf8").replace(/```[\s\S]*?```/g, "");
  return [...prose.matchAll(/(?<!`)`([^`]+)`(?!`)/g)]
    .map(([, text = ""]) => text.replace(/\s+/g, " ").trim())
    .filter(
      (text) => /^\W*([\w'.]+,? ){4}/.test(text) && !/[{}|$<>=*]|--|NAME|^(pulumi|openstack|npx|npm) /.test(text),
    );
}

/** The quotation has all of a message with values, or what is between its `…` is in one message. */
function isOurs(quotation: string): boolean {
  const parts = quotation.split("…").filter((part) => /\w/.test(part));
  const isPartOf = (message: string) => parts.every((part) => message.includes(part.trim().replace(/[.:;]$/, "")));
  const isWhole = (message: string) => {
    const fixed = message.split(VALUE).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return fixed.join("").length > 30 && new RegExp(fixed.join(".*")).test(quotation);
  };
  return messages.some((message) => isPartOf(message) || isWhole(message));
}

const quotations = pages.flatMap((page) => quotationsOf(page).map((quotation) => [page, quotation] as const));

test("there are quotations, and one that nobody says is found", () => {
  expect(quotations.length).toBeGreaterThan(10);
  expect(isOurs("there is no connection that we ever wrote")).toBe(false);
});

test.each(quotations.filter(([, quotation]) => !OTHERS.includes(quotation)))("%s quotes %s", (_page, quotation) =>
  expect(isOurs(quotation)).toBe(true),
);
