// The names in a new backend's files, made from the two that the command is given.

export interface Names {
  /** Folder and connection kind: `acme`. */
  backend: string;
  /** The sdk's class: `VolumeCopy`. */
  resource: string;
}

const BACKEND = /^[a-z][a-z0-9]*$/;
const RESOURCE = /^(?:[A-Z][a-z0-9]+)+$/;

/** Throws an error that names the wrong name. */
export function checkNames({ backend, resource }: Names): void {
  if (!BACKEND.test(backend)) throw new Error(`the backend "${backend}" is not a lower-case word, such as acme`);
  if (!RESOURCE.test(resource))
    throw new Error(`the resource "${resource}" is not in upper camel case, such as VolumeCopy`);
}

/** Rewrites the template's text, whose backend is `toy` and whose resource is `ToyCopy`. */
export function renamer({ backend, resource }: Names): (text: string) => string {
  const camel = resource.charAt(0).toLowerCase() + resource.slice(1);
  const words = resource.replaceAll(/(?!^)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
  const title = backend.charAt(0).toUpperCase() + backend.slice(1);
  // The resource comes first, because its name begins with the backend's.
  const replacements: [RegExp, string][] = [
    [/ToyCopy(?!Row)/g, resource],
    [/toyCopy/g, camel],
    [/toy-copy/g, words.replaceAll(" ", "-")],
    [/toy copy/g, words],
    [/TOY/g, backend.toUpperCase()],
    [/Toy/g, title],
    [/toy/g, backend],
  ];
  return (text) => replacements.reduce((result, [pattern, name]) => result.replaceAll(pattern, name), text);
}
