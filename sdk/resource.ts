// What every resource class of this package shares: the constant provider text and the hidden inputs.

import * as pulumi from "@pulumi/pulumi";
import { version } from "../provider/version";
import { assertProviderIsFound } from "./providerFolder";

/** Names this build of the provider's code, in the text that a state holds for ever (test/unit/sdk/golden.test.ts). */
const PROVIDER_MODULE = "pulumi-snapclone/dynamic/v1";

/**
 * The base of this package's resources. A dynamic one has as its provider code of the installed package, loaded by name,
 * instead of code frozen into the state; a native one (sdk/native.ts) has the plugin.
 */
export abstract class SnapcloneResource extends pulumi.CustomResource {
  /** @internal */
  protected constructor(
    type: string,
    provider: string,
    name: string,
    props: Record<string, unknown>,
    opts: pulumi.CustomResourceOptions,
  ) {
    const { token, hidden, options } = isNative(new.target)
      ? nativeRegistration(type, opts)
      : dynamicRegistration(type, provider, name, props, opts);
    const { stackTraceLimit, prepareStackTrace } = Error;
    const restore = () => Object.assign(Error, { stackTraceLimit, prepareStackTrace });
    // Pulumi keeps a stack trace for each promise of a resource, four for a property, to name those that leak
    // (@pulumi/pulumi/runtime/debuggable.js). Whole ones take half of the time of a program with hundreds of resources.
    if (!process.env.PULUMI_DEBUG_PROMISE_LEAKS) Error.stackTraceLimit = 1;
    // Node applies source maps only where nothing else formats stack traces.
    if (prepareStackTrace || !process.sourceMapsEnabled) {
      Error.prepareStackTrace = withOneConstructor(new.target, prepareStackTrace);
    }
    try {
      super(token, name, { ...props, ...hidden }, options);
    } catch (error) {
      restore();
      throw withCallers(error, new.target);
    } finally {
      restore();
    }
  }
}

type PrepareStackTrace = (error: Error, frames: NodeJS.CallSite[]) => unknown;

/**
 * Formats stack traces with one constructor of this class and its subclasses. Pulumi counts with one between its own and the
 * program's line (@pulumi/pulumi/resource.js). With more, the state would name a line of this package.
 */
function withOneConstructor(resourceClass: { name: string }, format: PrepareStackTrace | undefined): PrepareStackTrace {
  const names: string[] = [];
  for (let one = resourceClass; one !== pulumi.CustomResource; one = Object.getPrototypeOf(one)) names.push(one.name);
  const isOwn = (frame: NodeJS.CallSite | undefined) =>
    frame?.isConstructor() === true && names.includes(frame.getFunctionName() ?? "");
  return (error, frames) => {
    const first = frames.findIndex(isOwn);
    let end = first;
    while (isOwn(frames[end])) end += 1;
    const shown = first === -1 ? frames : frames.toSpliced(first, end - first - 1);
    return format ? format(error, shown) : [`${error}`, ...shown.map((frame) => `    at ${frame}`)].join("\n");
  };
}

/** An error of a transformation or of Pulumi's, whose own stack trace was cut, with the line that makes the resource. */
function withCallers(error: unknown, resourceClass: object): unknown {
  if (!(error instanceof Error)) return error;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, resourceClass as (...args: unknown[]) => unknown);
  error.stack = `${error.stack}\n${here.stack?.split("\n").slice(1).join("\n")}`;
  return error;
}

/** An entry for each output that a resource class declares. The compiler asks for one that is missing. */
export type NoOutputs<Resource extends SnapcloneResource> = Record<
  Exclude<keyof Resource, keyof pulumi.CustomResource>,
  undefined
>;

interface Registration {
  token: string;
  hidden: Record<string, unknown>;
  options: pulumi.CustomResourceOptions;
}

function dynamicRegistration(
  type: string,
  provider: string,
  name: string,
  props: Record<string, unknown>,
  opts: pulumi.CustomResourceOptions,
): Registration {
  assertProviderIsFound(PROVIDER_MODULE);
  const token = typeToken(type);
  // With `id` the resource is only read (`get`): it has no owner among the backend's objects.
  const owned = opts.id === undefined;
  // Pulumi refuses the option for a dynamic resource, so the provider gets it as an input (provider/core/import.ts).
  const { import: imported, ...options } = opts;
  // Each property, even an undefined one, becomes an Output with four promises.
  const hidden = definedOf({
    __owner: owned ? ownerUrn(name, token, opts.parent) : undefined,
    // The URN names project and stack, but not the organisation.
    __organization: owned ? organization() : undefined,
    __timeouts: opts.customTimeouts,
    __import: owned ? imported : undefined,
    __secrets: owned ? secretPaths(props) : undefined,
    __provider: `exports.handler=()=>require("${PROVIDER_MODULE}").${provider}`,
  });
  // A stack that goes back from the native provider keeps its copies.
  const aliases = aliasesOfType(nativeToken(type), opts);
  return { token, hidden, options: pulumi.mergeOptions({ aliases }, options) };
}

/**
 * The URN, without the parent among its dependencies. What depends on a component depends on all children of the component, so
 * each of two siblings would wait for the other. `promise` is of Pulumi's implementation, and its types leave it out.
 */
function ownerUrn(name: string, token: string, parent: pulumi.Resource | undefined): pulumi.Output<string> {
  const urn = pulumi.createUrn(name, token, parent);
  const { promise } = urn as unknown as { promise?(withUnknowns: boolean): Promise<string> };
  return promise === undefined ? urn : pulumi.output(promise.call(urn, true));
}

/** The classes of sdk/native.ts have this. */
export const NATIVE = Symbol.for("pulumi-snapclone/native");

function isNative(resourceClass: object): boolean {
  return Reflect.get(resourceClass, NATIVE) === true;
}

/** The engine tells the plugin what a dynamic provider has to be given, but for the organisation. */
function nativeRegistration(type: string, opts: pulumi.CustomResourceOptions): Registration {
  // A stack of the dynamic classes moves over without a change.
  const aliases = aliasesOfType(typeToken(type), opts);
  const options = pulumi.mergeOptions({ version, aliases }, opts);
  const hidden = definedOf({ __organization: opts.id === undefined ? organization() : undefined });
  return { token: nativeToken(type), hidden, options };
}

/**
 * The type of the other provider, also with each former name and parent that the program gives: Pulumi does not combine
 * aliases, and a resource that changes provider and parent in one `up` would be replaced.
 */
function aliasesOfType(type: string, { aliases = [] }: pulumi.CustomResourceOptions): pulumi.Alias[] {
  return [{ type }, ...aliases.filter(isAliasWithoutType).map((alias) => ({ ...alias, type }))];
}

function isAliasWithoutType(alias: unknown): alias is pulumi.Alias {
  const isObject = typeof alias === "object" && alias !== null;
  return isObject && !pulumi.Output.isInstance(alias) && !(alias instanceof Promise) && !("type" in alias);
}

function definedOf(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

export function nativeToken(type: string): string {
  return `snapclone:index:${type}`;
}

/**
 * By the type alone: a transformation sees a resource whose other fields are not set yet, and a policy pack asks about an
 * object that has nothing else.
 */
export function isOfType(obj: unknown, token: string): boolean {
  return typeof obj === "object" && obj !== null && Reflect.get(obj, "__pulumiType") === token;
}

/** Part of every URN: never renamed. */
export function typeToken(type: string): string {
  return `pulumi-nodejs:dynamic/snapclone:${type}`;
}

/** Programs under mocks (`setMocks`) may have none, and Pulumi then throws. */
function organization(): string | undefined {
  try {
    return pulumi.getOrganization();
  } catch {
    return undefined;
  }
}

/**
 * Where `props` has secrets, as paths: Pulumi hands dynamic providers plain values without a mark. A secret inside an
 * Output of an object makes the whole Output secret, so one level of Outputs is enough.
 */
function secretPaths(props: Record<string, unknown>): pulumi.Output<string[] | undefined> | undefined {
  const outputs = outputsIn(props, "");
  if (outputs.length === 0) return undefined;
  const paths = Promise.all(outputs.map(async ([path, output]) => ((await pulumi.isSecret(output)) ? [path] : [])));
  // No path rather than an empty list: most resources have none, and their state shows none.
  return pulumi.output(paths.then((found) => (found.flat().length > 0 ? found.flat() : undefined)));
}

function outputsIn(value: unknown, path: string): [path: string, output: pulumi.Output<unknown>][] {
  if (pulumi.Output.isInstance(value)) return [[path, value]];
  if (Array.isArray(value)) return value.flatMap((inner, index) => outputsIn(inner, `${path}[${index}]`));
  if (typeof value !== "object" || value === null || value instanceof Promise) return [];
  return Object.entries(value).flatMap(([key, inner]) => outputsIn(inner, path === "" ? key : `${path}.${key}`));
}
