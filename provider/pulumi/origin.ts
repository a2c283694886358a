// Identifies this run's state store. Two stores may each have a stack of the same name, and neither may adopt an object that
// the other's stack has made. Callers use a digest of it only.

import { readFileSync } from "node:fs";
import { homedir, hostname, userInfo } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isRecord } from "../core/util/values";
import { engineFolder } from "./processes";

export interface OriginPlace {
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** The account's, whatever HOME says: as Pulumi finds it (Go's user.Current). */
  home: string;
  host: string;
  /** The engine's working directory, for a relative file address. */
  engineCwd?: string | undefined;
}

/** `override` is the stack config's `snapclone:origin`. */
export function stateOrigin(override: string | undefined, place: OriginPlace = here()): string {
  if (override !== undefined && override.trim() !== "") return override.trim();
  const { env } = place;
  const address = text(env.PULUMI_BACKEND_URL) ?? projectBackend(place.cwd) ?? loggedIn(place) ?? "";
  return normalise(address, place);
}

function here(): OriginPlace {
  return { env: process.env, cwd: process.cwd(), home: accountHome(), host: hostname(), engineCwd: engineFolder() };
}

/** The account's home folder, as Pulumi finds it (Go's user.Current). */
export function accountHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    // A container's user may have no account.
    return homedir();
  }
}

/** What distinguishes two stores of one address: a part of the query, else the variable that the store's library reads. */
const DISTINGUISHING: Readonly<Record<string, readonly (readonly [key: string, ...variables: string[]])[]>> = {
  "s3:": [["endpoint", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], ["region"]],
  "azblob:": [["storage_account", "AZURE_STORAGE_ACCOUNT"], ["domain"]],
};

/**
 * A `file://` address becomes the resolved path and the host's name. Other addresses lose the parts that are secret or that
 * may change while the store stays the same.
 */
function normalise(address: string, place: OriginPlace): string {
  if (/^file:/i.test(address)) return `file ${place.host} ${filePath(address, place)}`;
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  const kept = (DISTINGUISHING[url.protocol] ?? []).flatMap(([key, ...variables]) => {
    const given = [url.searchParams.get(key), ...variables.map((name) => place.env[name])];
    const value = given.find((one) => text(one) !== undefined);
    return value === undefined ? [] : [`${key}=${value}`];
  });
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}${kept.length > 0 ? `?${kept.join("&")}` : ""}`;
}

/** Pulumi's file addresses: `file://~`, `file:///absolute`, and `file://./relative` to the engine's working directory. */
function filePath(address: string, { cwd, home, engineCwd }: OriginPlace): string {
  const rest = address.replace(/^file:(\/\/)?/i, "").replace(/[?#].*$/, "");
  const path = decode(rest);
  if (path === "~" || path.startsWith("~/")) return join(home, path.slice(1));
  if (/^file:\/\/\/[a-z]:/i.test(address)) return fileURLToPath(address);
  return isAbsolute(path) ? resolve(path) : resolve(engineCwd ?? projectFolder(cwd) ?? cwd, path);
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** `backend.url` of the project file (Pulumi.yaml). */
function projectBackend(cwd: string): string | undefined {
  const folder = projectFolder(cwd);
  const project = folder === undefined ? undefined : readProject(folder);
  return isRecord(project) && isRecord(project.backend) ? text(project.backend.url) : undefined;
}

/** Upwards from the provider's folder, which is the program's (`main` of the project file). */
function projectFolder(cwd: string): string | undefined {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (readProject(folder) !== undefined) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

function readProject(folder: string): unknown {
  for (const name of ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"]) {
    try {
      const project = readFileSync(join(folder, name), "utf8");
      // Loaded where a project file is read at all: PULUMI_BACKEND_URL needs none.
      return (require("yaml") as typeof import("yaml")).parse(project) ?? {};
    } catch {
      // Missing or unreadable: try the next name.
    }
  }
  return undefined;
}

/** The store that `pulumi login` has chosen. Reads only the field `current` of the file. */
function loggedIn({ env, home }: OriginPlace): string | undefined {
  const folder = text(env.PULUMI_CREDENTIALS_PATH) ?? text(env.PULUMI_HOME) ?? join(home, ".pulumi");
  try {
    const credentials: unknown = JSON.parse(readFileSync(join(folder, "credentials.json"), "utf8"));
    return isRecord(credentials) ? text(credentials.current) : undefined;
  } catch {
    return undefined;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}
