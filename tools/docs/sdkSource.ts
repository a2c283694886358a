// Reads what the sdk says about a resource: its inputs, its outputs and the types they are made of, each with its doc
// comment. Only the syntax is read, so this takes milliseconds.

import { readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { type ResourceName, typeOf } from "../../provider/resources";

export interface Member {
  name: string;
  optional: boolean;
  /** Without `pulumi.Input` and `pulumi.Output`: what a program writes or reads. */
  type: ts.TypeNode;
  /** The comment's first paragraph, on one line. */
  summary: string;
  /** The comment's block tags by name: `default`, `onChange`, `example`, `remarks`. */
  tags: Readonly<Record<string, string>>;
}

export interface SdkResource {
  inputs: Member[];
  outputs: Member[];
  /** The exported interfaces of the same file, but for the inputs: what lists in the outputs hold. */
  types: Record<string, Member[]>;
  /** The keys of `noOutputs`, with which the class registers its outputs. */
  registered: string[];
  /** The comment of the class, without its tags. */
  description: string;
}

export function readSdk(root: string, name: ResourceName): SdkResource {
  const file = path.join(root, "sdk", `${name}.ts`);
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const types = interfacesOf(source);
  const { [`${typeOf(name)}Args`]: inputs, ...others } = types;
  const resource = source.statements.filter(ts.isClassDeclaration).find((one) => one.name?.text === typeOf(name));
  if (inputs === undefined || resource === undefined) {
    throw new Error(`${file} does not declare ${typeOf(name)} and ${typeOf(name)}Args`);
  }
  const description = textOf(ts.getJSDocCommentsAndTags(resource).find(ts.isJSDoc)?.comment);
  return {
    inputs,
    outputs: membersOf(resource.members),
    types: others,
    registered: registeredIn(source),
    description: description
      .split(/\n\s*\n/)
      .map(oneLine)
      .join("\n\n"),
  };
}

/** The interfaces of a file, each with its members. */
export function readInterfaces(file: string): Record<string, Member[]> {
  return interfacesOf(ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true));
}

function interfacesOf(source: ts.SourceFile): Record<string, Member[]> {
  const interfaces = source.statements.filter(ts.isInterfaceDeclaration);
  return Object.fromEntries(interfaces.map((one) => [one.name.text, membersOf(one.members)]));
}

export function membersOf(members: ts.NodeArray<ts.Node>): Member[] {
  return members.flatMap((member) => {
    if (!ts.isPropertySignature(member) && !ts.isPropertyDeclaration(member)) return [];
    if (member.type === undefined || !ts.isIdentifier(member.name)) return [];
    const [summary = ""] = textOf(ts.getJSDocCommentsAndTags(member).find(ts.isJSDoc)?.comment).split(/\n\s*\n/);
    const tags = ts.getJSDocTags(member).map((tag) => [tag.tagName.text, textOf(tag.comment)]);
    return [
      {
        name: member.name.text,
        optional: member.questionToken !== undefined,
        type: withoutPulumi(member.type),
        summary: oneLine(summary),
        tags: Object.fromEntries(tags),
      },
    ];
  });
}

/** `pulumi.Input<string>` is a `string` to who writes a program, and so is `pulumi.Output<string>` to who reads one. */
export function withoutPulumi(type: ts.TypeNode): ts.TypeNode {
  if (!ts.isTypeReferenceNode(type) || !ts.isQualifiedName(type.typeName)) return type;
  const inner = type.typeArguments?.[0];
  return inner !== undefined && /^(Input|Output)$/.test(type.typeName.right.text) ? withoutPulumi(inner) : type;
}

/** As the program's author would write it: `string[]`, `"copy" | "nocopy"`. */
export function typeText(type: ts.TypeNode): string {
  const text = type.getText().replaceAll(/\s+/g, " ");
  let plain = text;
  // `pulumi.Input<pulumi.Input<string>[]>`: from the inside out.
  for (let before = ""; before !== plain; ) {
    before = plain;
    plain = plain.replaceAll(/pulumi\.(?:Input|Output)<([^<>]*(?:<[^<>]*>)?[^<>]*)>(\[\])?/g, (_whole, inner, list) =>
      list !== undefined && inner.includes("|") ? `(${inner})[]` : `${inner}${list ?? ""}`,
    );
  }
  return plain.replace(/ \| undefined$/, "");
}

function registeredIn(source: ts.SourceFile): string[] {
  const declarations = source.statements
    .filter(ts.isVariableStatement)
    .flatMap((one) => [...one.declarationList.declarations]);
  const noOutputs = declarations.find(({ name }) => name.getText() === "noOutputs")?.initializer;
  if (noOutputs === undefined || !ts.isObjectLiteralExpression(noOutputs)) return [];
  return noOutputs.properties.map((property) => property.name?.getText() ?? "");
}

/** A comment with `{@link name}` is several nodes. */
function textOf(comment: string | ts.NodeArray<ts.JSDocComment> | undefined): string {
  if (comment === undefined || typeof comment === "string") return comment ?? "";
  return comment
    .map((part) => (ts.isJSDocLink(part) ? `\`${part.name?.getText() ?? part.text}\`` : part.text))
    .join("");
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
