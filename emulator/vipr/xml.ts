// ViPR's XML as JAXB writes and reads it (docs/wire/vipr.md#xml): lists that have a wrapper in JSON have an element an item
// inside it, and a link's fields are attributes.

import { isObject } from "../core/http";

/** The item's element inside the element of a list (@XmlElementWrapper). Other lists repeat their own element. */
const ITEMS: Readonly<Record<string, string>> = {
  associated_resources: "associated_resource",
  high_availability_backing_volumes: "high_availability_backing_volume",
  ids: "id",
  linked_targets: "linked_target",
  protocols: "protocol",
  tags: "tag",
  volume_groups: "volume_group",
  volumes: "volume",
};

const DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';

export function toXml(root: string, body: Readonly<Record<string, unknown>>): string {
  return `${DECLARATION}<${root}>${children(body)}</${root}>`;
}

function children(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => element(name, value))
    .join("");
}

function element(name: string, value: unknown): string {
  if (Array.isArray(value)) {
    const item = ITEMS[name];
    if (item === undefined) return value.map((one) => element(name, one)).join("");
    return `<${name}>${value.map((one) => element(item, one)).join("")}</${name}>`;
  }
  if (!isObject(value)) return `<${name}>${escaped(String(value))}</${name}>`;
  if (name !== "link") return `<${name}>${children(value)}</${name}>`;
  const attributes = Object.entries(value).map(([key, text]) => ` ${key}="${escaped(String(text))}"`);
  return `<${name}${attributes.join("")}/>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** What the text holds is not XML, or it has another root. The message is a parser's own. */
export class XmlError extends Error {}

interface Element {
  readonly name: string;
  readonly children: Element[];
  text: string;
}

/**
 * Reads a request's body into the form that its JSON has. As JAXB does, it leaves out unknown elements.
 *
 * @param lists The names of the lists that have no wrapper.
 */
export function fromXml(text: string, root: string, lists: readonly string[]): Record<string, unknown> {
  const top = parse(text);
  if (top.name !== root) throw new XmlError(`unexpected element (uri:"", local:"${top.name}"). Expected: <{}${root}>`);
  return fieldsOf(top, lists);
}

function fieldsOf(parent: Element, lists: readonly string[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const child of parent.children) {
    const item = ITEMS[child.name];
    if (item !== undefined) {
      fields[child.name] = child.children.filter(({ name }) => name === item).map((one) => contentOf(one, lists));
    } else if (lists.includes(child.name)) {
      const before = fields[child.name];
      fields[child.name] = [...(Array.isArray(before) ? before : []), contentOf(child, lists)];
    } else {
      fields[child.name] = contentOf(child, lists);
    }
  }
  return fields;
}

function contentOf(element: Element, lists: readonly string[]): unknown {
  return element.children.length > 0 ? fieldsOf(element, lists) : element.text.trim();
}

const TOKEN =
  /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/y;

/** Elements and text only. A document type is refused, as ViPR's parser refuses it. */
function parse(text: string): Element {
  const top: Element = { name: "", children: [], text: "" };
  const open = [top];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text);
    if (token === null) throw new XmlError(`The markup in the document at character ${at} must be well-formed.`);
    const [, closing, name, , empty, plain] = token;
    const current = open.at(-1) ?? top;
    if (plain !== undefined) current.text += unescaped(plain);
    if (name === undefined) continue;
    if (closing === "/") {
      if (current === top || current.name !== name) {
        throw new XmlError(`The element type "${current.name}" must be terminated by the matching end-tag.`);
      }
      open.pop();
      continue;
    }
    const child: Element = { name, children: [], text: "" };
    current.children.push(child);
    if (empty !== "/") open.push(child);
  }
  const [root, ...more] = top.children;
  if (root === undefined || more.length > 0 || open.length > 1 || top.text.trim() !== "") {
    throw new XmlError("XML document structures must start and end within the same entity.");
  }
  return root;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replace(/&(#x?[\da-f]+|\w+);/gi, (whole, entity: string) => {
    if (!entity.startsWith("#")) return ENTITIES[entity] ?? whole;
    const code = /^#x/i.test(entity) ? Number.parseInt(entity.slice(2), 16) : Number(entity.slice(1));
    return String.fromCodePoint(code);
  });
}
