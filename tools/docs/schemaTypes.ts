// TypeScript's types as a Pulumi schema has them. Interfaces, objects written in place, and unions of texts become named types.

import ts from "typescript";
import { type Member, membersOf, withoutPulumi } from "./sdkSource";

export interface TypeSpec {
  type?: "string" | "number" | "integer" | "boolean" | "array" | "object";
  $ref?: string;
  items?: TypeSpec;
  additionalProperties?: TypeSpec;
}

export interface PropertySpec extends TypeSpec {
  description?: string;
  default?: string | boolean;
  willReplaceOnChanges?: boolean;
  secret?: boolean;
}

interface PropertyHints {
  /** The definition's rule takes whole numbers only. */
  isWhole?: boolean;
}

const ANY: TypeSpec = { $ref: "pulumi.json#/Any" };

export function tokenOf(name: string): string {
  return `snapclone:index:${name}`;
}

/** Collects the named types of the whole package. */
export class SchemaTypes {
  readonly specs: Record<string, unknown> = {};

  /** `interfaces` are those that the declarations of one file may name. */
  scope(interfaces: Readonly<Record<string, readonly Member[]>>) {
    return {
      property: (member: Member, hints: PropertyHints): PropertySpec =>
        this.typeOf(member.type, interfaces, { name: member.name, owner: "", ...hints }),
      isOptional: (member: Member): boolean => member.optional || isNullable(member.type),
      reference: (name: string): string => this.named(name, interfaces),
    };
  }

  private typeOf(
    node: ts.TypeNode,
    interfaces: Readonly<Record<string, readonly Member[]>>,
    context: PropertyHints & { name: string; owner: string },
  ): TypeSpec {
    const type = withoutPulumi(node);
    if (ts.isParenthesizedTypeNode(type)) return this.typeOf(type.type, interfaces, context);
    if (ts.isUnionTypeNode(type)) return this.unionOf(type, interfaces, context);
    if (ts.isLiteralTypeNode(type)) return this.enumOf([type], context);
    if (ts.isArrayTypeNode(type)) return { type: "array", items: this.typeOf(type.elementType, interfaces, context) };
    if (ts.isTypeLiteralNode(type)) {
      return {
        $ref: this.object(`${context.owner}${capital(singular(context.name))}`, membersOf(type.members), interfaces),
      };
    }
    if (ts.isTypeReferenceNode(type) && type.typeName.getText() === "Record") {
      const [, value] = type.typeArguments ?? [];
      if (value === undefined) throw new Error(`${type.getText()} has no type of its values`);
      return { type: "object", additionalProperties: this.typeOf(value, interfaces, context) };
    }
    if (ts.isTypeReferenceNode(type)) return { $ref: this.named(type.typeName.getText(), interfaces) };
    return plainType(type, context);
  }

  /** `string | undefined` is an optional text; `"a" | "b"` is an enum; anything else may be any value. */
  private unionOf(
    type: ts.UnionTypeNode,
    interfaces: Readonly<Record<string, readonly Member[]>>,
    context: PropertyHints & { name: string; owner: string },
  ): TypeSpec {
    const parts = type.types.filter((part) => !isAbsent(part));
    const [only, ...others] = parts;
    if (only !== undefined && others.length === 0) return this.typeOf(only, interfaces, context);
    if (parts.every((part) => ts.isLiteralTypeNode(part))) return this.enumOf(parts, context);
    return ANY;
  }

  private enumOf(literals: readonly ts.LiteralTypeNode[], { name }: { name: string }): TypeSpec {
    const values = literals.map(({ literal }) => {
      if (!ts.isStringLiteral(literal)) throw new Error(`${literal.getText()} is no text`);
      return { name: capital(literal.text), value: literal.text };
    });
    // By its first use: an enum of the same name has the same values wherever it is used.
    const token = tokenOf(capital(name === "type" ? "overlayFormat" : name));
    this.register(token, { type: "string", enum: values });
    return { $ref: `#/types/${token}` };
  }

  private named(name: string, interfaces: Readonly<Record<string, readonly Member[]>>): string {
    const members = interfaces[name];
    if (members === undefined) throw new Error(`no interface ${name} is declared beside its use`);
    return this.object(name, members, interfaces);
  }

  private object(
    name: string,
    members: readonly Member[],
    interfaces: Readonly<Record<string, readonly Member[]>>,
  ): string {
    const token = tokenOf(name);
    const properties = members.map((member): [string, PropertySpec] => {
      const spec = this.typeOf(member.type, interfaces, { name: member.name, owner: name });
      return [member.name, member.summary === "" ? spec : { ...spec, description: member.summary }];
    });
    const required = members.filter((member) => !member.optional && !isNullable(member.type)).map((one) => one.name);
    const shape = { properties: Object.fromEntries(properties), ...(required.length > 0 ? { required } : {}) };
    this.register(token, { type: "object", ...shape });
    return `#/types/${token}`;
  }

  private register(token: string, spec: unknown): void {
    const earlier = this.specs[token];
    if (earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(spec)) {
      throw new Error(`two types are called ${token}`);
    }
    this.specs[token] = spec;
  }
}

function plainType(type: ts.TypeNode, { name, isWhole }: PropertyHints & { name: string }): TypeSpec {
  switch (type.kind) {
    case ts.SyntaxKind.StringKeyword:
      return { type: "string" };
    case ts.SyntaxKind.BooleanKeyword:
      return { type: "boolean" };
    case ts.SyntaxKind.NumberKeyword:
      // Not bytes: an integer of some languages has 32 bits.
      return { type: isWhole || name === "sizeGiB" ? "integer" : "number" };
    case ts.SyntaxKind.UnknownKeyword:
      return ANY;
    default:
      throw new Error(`the schema has no type for ${type.getText()}`);
  }
}

function isNullable(node: ts.TypeNode): boolean {
  const type = withoutPulumi(node);
  return ts.isUnionTypeNode(type) && type.types.some(isAbsent);
}

function isAbsent(type: ts.TypeNode): boolean {
  const isNull = ts.isLiteralTypeNode(type) && type.literal.kind === ts.SyntaxKind.NullKeyword;
  return isNull || type.kind === ts.SyntaxKind.UndefinedKeyword;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function singular(name: string): string {
  return name.replace(/s$/, "");
}
