// The hidden inputs that the core works with. A program in any language gives none of them: the requests have what they say,
// so they are put in before the core is called, and those that the state need not have are taken out of its results.

import type { HiddenInputs } from "../core/definition";
import type { Properties } from "../core/operation";
import { pathText, protectSecretInputs } from "../pulumi/secrets";
import { ownerUrn } from "../pulumi/urns";
import type { Received, SecretPath } from "./properties";

/** What the requests say anew each time. A stack that was made by the dynamic classes has them in its state. */
const PER_REQUEST = new Set<string>(["__provider", "__timeouts", "__secrets"] satisfies (keyof HiddenInputs)[]);
/** Outputs that are no inputs of the state. */
const OUTPUTS_ONLY = new Set<string>([...PER_REQUEST, "__owner"]);

/** What a program wants, or has wanted, of the resource of this URN. */
export function wanted({ values, secrets }: Received, urn: string, organization: string | undefined): Properties {
  const hidden = { __owner: ownerUrn(urn), __organization: values.__organization ?? organization };
  return protectedBy(secrets, { ...without(PER_REQUEST, values), ...present(hidden) });
}

/** What the state has of a resource. Its owner is the one that its record names. */
export function known({ values, secrets }: Received): Properties {
  return protectedBy(secrets, without(PER_REQUEST, values));
}

/** For the inputs in the state: the attempt and the organisation must be there, the rest is in each request. */
export function storedInputs(inputs: Properties): Properties {
  return without(OUTPUTS_ONLY, inputs);
}

export function storedOutputs(outputs: Properties): Properties {
  return without(PER_REQUEST, outputs);
}

/** For a preview, which shows outputs. */
export function visible(values: Properties): Properties {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !key.startsWith("__")));
}

function protectedBy(secrets: readonly SecretPath[], values: Properties): Properties {
  const given = secrets.length > 0 ? { ...values, __secrets: secrets.map(pathText) } : values;
  protectSecretInputs(given);
  return given;
}

function without(names: ReadonlySet<string>, values: Properties): Properties {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !names.has(key)));
}

function present(values: Properties): Properties {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
