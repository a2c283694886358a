// provider/native/schema.json: the package's schema, from which Pulumi makes the SDKs of all languages. Names, types and
// descriptions come from the sdk's declarations and comments; what is required, whole numbers, defaults and replacements
// from the definitions' rules (https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema/).

import { readFileSync } from "node:fs";
import path from "node:path";
import type { AnyDefinition, InputRule } from "../../provider/core/definition";
import { type ResourceName, resourceNames, resources, slugOf, typeOf } from "../../provider/resources";
import { exampleText, languageInfo } from "./languages";
import { type PropertySpec, SchemaTypes, tokenOf } from "./schemaTypes";
import { type Member, readInterfaces, readSdk, type SdkResource } from "./sdkSource";

export interface ObjectSpec {
  description?: string;
  type?: "object";
  properties: Record<string, PropertySpec>;
  required?: string[];
}

export interface PackageSpec {
  name: string;
  resources: Record<string, ResourceSpec>;
  functions: Record<string, { description: string; inputs: ObjectSpec; outputs: ObjectSpec }>;
  types: Record<string, unknown>;
  [other: string]: unknown;
}

export interface ResourceSpec extends ObjectSpec {
  inputProperties: Record<string, PropertySpec>;
  requiredInputs?: string[];
  stateInputs: ObjectSpec;
  aliases: { type: string }[];
}

export function renderSchema(root: string): { file: string; before: string; after: string } {
  const file = path.join(root, "provider", "native", "schema.json");
  const after = `${JSON.stringify(packageSchema(root), null, 2)}\n`;
  return { file, before: readFileSync(file, "utf8"), after };
}

export function packageSchema(root: string): PackageSpec {
  const types = new SchemaTypes();
  const made = Object.fromEntries(
    resourceNames.map((name) => [tokenOf(typeOf(name)), resourceSpec(root, name, types)]),
  );
  const functions = functionSpecs(root, types);
  const { description, keywords, license } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  return {
    name: "snapclone",
    displayName: "snapclone",
    description,
    keywords: [...keywords, "category/cloud", "kind/native"],
    license,
    publisher: "pulumi-snapclone contributors",
    // The SDK for Go gets a go.mod, too.
    meta: { supportPack: true },
    language: languageInfo(root, description),
    config: { variables: CONFIGURATION },
    provider: { description: "The connections to the backends.", inputProperties: CONFIGURATION },
    types: types.specs,
    resources: made,
    functions,
  };
}

/** The names are those of the stack config that the dynamic classes read. */
const CONFIGURATION: Record<string, PropertySpec> = {
  connections: {
    type: "object",
    additionalProperties: { $ref: "pulumi.json#/Any" },
    secret: true,
    description:
      "The connections by name (docs/connections.md). A resource uses the one that its input `connection` names, or `default`.",
  },
  adoptWithin: {
    type: "string",
    description:
      'How old an object of an interrupted run may be to be adopted (docs/ownership.md): a duration such as "72h"; "0" adopts nothing. Default: 24 hours.',
  },
  origin: {
    type: "string",
    description: "A name for the state store, where its address does not identify it (docs/ownership.md).",
  },
  organization: {
    type: "string",
    description:
      "The stack's organisation on Pulumi Cloud, for programs that are not in TypeScript. Default: that of self-managed state stores.",
  },
};

function resourceSpec(root: string, name: ResourceName, types: SchemaTypes): ResourceSpec {
  const sdk = readSdk(root, name);
  const definition: AnyDefinition = resources[name]();
  const scope = types.scope(sdk.types);
  const inputs = sdk.inputs.map((member) => [member.name, inputSpec(member, definition, scope)] as const);
  const outputs = sdk.outputs.map((member) => {
    const input = sdk.inputs.find((one) => one.name === member.name);
    const spec = scope.property(member, { isWhole: isWhole(definition.inputs[member.name]) });
    // Many outputs repeat an input and have no comment of their own.
    const description = member.summary || input?.summary;
    return [member.name, { ...spec, ...(description ? { description } : {}) }] as const;
  });
  const required = sdk.inputs.filter((member) => isRequired(definition.inputs[member.name])).map((one) => one.name);
  return {
    description: describe(root, sdk, definition, name),
    properties: Object.fromEntries(outputs),
    required: sdk.outputs.filter((member) => !scope.isOptional(member)).map((member) => member.name),
    inputProperties: Object.fromEntries(inputs),
    requiredInputs: required,
    stateInputs: { type: "object", properties: lookedUpBy(sdk.inputs, scope) },
    // A stack of the dynamic classes moves over without a change.
    aliases: [{ type: `pulumi-nodejs:dynamic/snapclone:${typeOf(name)}` }],
  };
}

function inputSpec(member: Member, definition: AnyDefinition, scope: ReturnType<SchemaTypes["scope"]>): PropertySpec {
  const rule: InputRule<unknown> | undefined = definition.inputs[member.name];
  if (rule === undefined) throw new Error(`${member.name} is no input of ${definition.displayName}`);
  const { summary, tags } = member;
  const remarks = tags.remarks === undefined ? [] : [tags.remarks];
  const effect =
    tags.onChange === undefined ? [] : [`A change: ${lowerFirst(tags.onChange.replaceAll(/\s*\n\s*/g, " "))}`];
  const fallback = rule.default ?? rule.schema.safeParse(undefined).data;
  const isConstant = typeof fallback === "boolean" || typeof fallback === "string";
  const words = tags.default === undefined || isConstant ? [] : [`Default: ${tags.default.replaceAll("`", "")}.`];
  return {
    ...scope.property(member, { isWhole: isWhole(rule) }),
    description: [summary, ...remarks, ...words, ...effect].join("\n\n"),
    ...(isConstant ? { default: fallback } : {}),
    ...(rule.onChange === "replace" ? { willReplaceOnChanges: true } : {}),
  };
}

/** What `get` takes beside the id, as the classes of the sdk do: the connection that the object is on. */
function lookedUpBy(inputs: readonly Member[], scope: ReturnType<SchemaTypes["scope"]>): Record<string, PropertySpec> {
  const connection = inputs.filter(({ name }) => name === "connection");
  return Object.fromEntries(
    connection.map((member) => [
      member.name,
      { ...scope.property(member, { isWhole: false }), description: member.summary },
    ]),
  );
}

/** Resources whose id consists of several ids. */
const IMPORT_IDS: Partial<Record<ResourceName, string>> = {
  snapshotSeries: "<snapshot>,<snapshot>,…",
  volumeClone: "<clone>,<clone>,…",
  linkedTargetSet: "<session>,<target>,<target>,…",
  clonedVm: "<vm>,<vm>,…",
};

/** The sdk's comment has TypeScript's form in few places. */
function describe(root: string, { description }: SdkResource, definition: AnyDefinition, name: ResourceName): string {
  const page = `See docs/${slugOf(name)}.md.`;
  const { import: importer } = definition;
  const form = IMPORT_IDS[name] ?? "<id>";
  const text =
    importer === undefined || "refusal" in importer
      ? `Can't be imported${importer === undefined ? "" : `: ${importer.refusal}`}.`
      : [
          "The import writes the ownership record. Where the connection is not `default`, its name goes before the id: `<connection>/<id>`.",
          "",
          "```sh",
          `pulumi import ${tokenOf(typeOf(name))} name ${form}`,
          "```",
        ].join("\n");
  const summary = description.includes("docs/") ? description : `${description} ${page}`;
  return [summary, exampleText(root, slugOf(name)), "## Import", text].join("\n\n");
}

function functionSpecs(root: string, types: SchemaTypes): PackageSpec["functions"] {
  const {
    ListSnapshotsArgs: list,
    GetSnapshotArgs: get,
    ...others
  } = readInterfaces(path.join(root, "provider", "lookups.ts"));
  const { SnapshotInfo: info } = others;
  if (list === undefined || get === undefined || info === undefined) throw new Error("provider/lookups.ts has changed");
  const scope = types.scope(others);
  const objectOf = (members: readonly Member[]): ObjectSpec => {
    const required = members.filter((member) => !scope.isOptional(member)).map(({ name }) => name);
    const properties = members.map((member) => [member.name, described(member, scope.property(member, {}))]);
    return { properties: Object.fromEntries(properties), ...(required.length > 0 ? { required } : {}) };
  };
  const many: ObjectSpec = {
    properties: {
      snapshots: {
        type: "array",
        items: { $ref: scope.reference("SnapshotInfo") },
        description: "The snapshots, the newest first unless `sort` says otherwise.",
      },
    },
    required: ["snapshots"],
  };
  return {
    [tokenOf("getSnapshot")]: {
      description: [
        "Asks the cloud for one snapshot: by its id, or the one that all the other conditions leave. Fails if there is none, or more than one and not `mostRecent`.",
        exampleText(root, "get-snapshot"),
      ].join("\n\n"),
      inputs: objectOf([...get, ...list]),
      outputs: objectOf(info),
    },
    [tokenOf("listSnapshots")]: {
      description: [
        "All snapshots that meet the conditions, however many pages they fill.",
        exampleText(root, "list-snapshots"),
      ].join("\n\n"),
      inputs: objectOf(list),
      outputs: many,
    },
  };
}

function described(member: Member, spec: PropertySpec): PropertySpec {
  return member.summary === "" ? spec : { ...spec, description: member.summary };
}

function isRequired(rule: InputRule<unknown> | undefined): boolean {
  return rule !== undefined && !rule.schema.safeParse(undefined).success;
}

/** A number that may have no fraction. */
function isWhole(rule: InputRule<unknown> | undefined): boolean {
  return rule?.schema.safeParse(2).success === true && !rule.schema.safeParse(2.5).success;
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
