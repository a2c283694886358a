// The tables of inputs and outputs in docs/*.md, made from the sdk's doc comments.

import type { AnyDefinition, ChangeEffect, InputRule } from "../../provider/core/definition";
import { type Member, type SdkResource, typeText } from "./sdkSource";

/** The beginnings of `@onChange` comments, by the effect of the definition's rule. */
const EFFECTS: Record<ChangeEffect, RegExp> = {
  replace: /^Replaces\b/,
  update: /^In place\b/,
  ignore: /^No effect\b/,
};

export function inputsTable({ inputs }: SdkResource): string {
  return markdownTable([
    ["input", "meaning", "type", "default", "a change"],
    ...inputs.map(({ name, optional, type, summary, tags }) => [
      `\`${name}\``,
      summary,
      `\`${typeText(type)}\``,
      optional ? defaultText(tags.default) : "required",
      withoutStop(tags.onChange ?? ""),
    ]),
  ]);
}

/** The outputs that are no inputs, or that mean something else than the input of that name; then the types they hold. */
export function outputsTable({ inputs, outputs, types }: SdkResource, definition: AnyDefinition): string {
  const own = outputs.filter(({ name, summary }) => summary !== "" || !inputs.some((input) => input.name === name));
  const tables = [
    markdownTable([
      ["output", "meaning", "type"],
      ...own.map((output) => [`\`${output.name}\``, withSecrets(output, definition), `\`${typeText(output.type)}\``]),
    ]),
    ...Object.entries(types).map(([name, members]) => `\`${name}\`:\n\n${membersTable(members)}`),
  ];
  return tables.join("\n\n");
}

/** Where the doc comments contradict the definition's rules, as sentences. */
export function contradictions({ inputs }: SdkResource, definition: AnyDefinition): string[] {
  return inputs.flatMap(({ name, tags }) => {
    const rule: InputRule<unknown> | undefined = definition.inputs[name];
    if (rule === undefined) return [`${name}: the definition has no such input`];
    const { onChange } = rule;
    const effect = tags.onChange ?? "";
    const problems: string[] = [];
    // An effect that a function decides may be described in any form.
    const agrees = typeof onChange === "string" ? EFFECTS[onChange].test(effect) : effect !== "";
    if (!agrees) problems.push(`${name}: the definition's onChange is ${String(onChange)}, the comment's "${effect}"`);
    const value = rule.default ?? rule.schema.safeParse(undefined).data;
    const stated = tags.default?.replaceAll("`", "");
    if (value !== undefined && stated !== String(value)) {
      problems.push(`${name}: the definition's default is ${String(value)}, the comment's ${stated}`);
    }
    return problems;
  });
}

function defaultText(stated: string | undefined): string {
  if (stated === undefined) return "none";
  return /^(true|false|\d+)$/.test(stated) ? `\`${stated}\`` : stated;
}

function membersTable(members: readonly Member[]): string {
  return markdownTable([
    ["field", "meaning", "type"],
    ...members.map(({ name, summary, type, optional }) => [
      `\`${name}\``,
      optional && !/\babsent\b/i.test(summary) ? `${summary} May be absent.`.trim() : summary,
      `\`${typeText(type)}\``,
    ]),
  ]);
}

/** The provider marks an output secret that repeats a secret input. */
function withSecrets({ name, summary }: Member, { derivedOutputs }: AnyDefinition): string {
  const sources = derivedOutputs?.[name];
  if (sources === undefined) return summary;
  const names = new Intl.ListFormat("en-GB", { type: "disjunction" }).format(sources.map((source) => `\`${source}\``));
  return `${summary} Secret if ${names} is.`.trim();
}

function withoutStop(text: string): string {
  const flat = text.replaceAll(/\s*\n\s*/g, " ");
  return `${flat.charAt(0).toLowerCase()}${flat.slice(1)}`.replace(/\.$/, "");
}

export function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellText).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

/** Pages of this folder become links; a bar would end the cell. */
function cellText(text: string): string {
  return text
    .replaceAll(/docs\/([\w-]+)\.md(#[\w-]+)?/g, (_path, page: string, anchor = "") => `[${page}](${page}.md${anchor})`)
    .replaceAll("|", "\\|");
}
