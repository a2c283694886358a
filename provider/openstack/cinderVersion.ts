// Which microversion of the Block Storage API to speak with an endpoint (docs/wire/openstack.md#a4).

import * as z from "zod";
import { SnapcloneError } from "../core/errors";
import { compareVersions } from "../core/util/version";
import { cinderError } from "./cinderErrors";
import { parseFault } from "./faults";
import type { KeystoneSession } from "./keystone";

/** The newest version whose behaviour this code knows; 3.67 and later add nothing to snapshots. */
const NEWEST = "3.66";
const OLDEST = "3.0";

/** The API that predates microversions has empty texts. The version goes into a header, so that its form is checked. */
const version = z
  .string()
  .regex(/^(\d{1,4}\.\d{1,4})?$/)
  .default("");

// Made once: zod compiles a schema on first use.
const versionsSchema = z.looseObject({
  versions: z.array(z.looseObject({ id: z.string(), version, min_version: version })),
});
const anySchema = z.unknown();

/** `root` is the address without version and project, `api` the one with both. */
export async function negotiateMicroversion(session: KeystoneSession, root: string, api: string): Promise<string> {
  // Cinder answers 300 at its root and 200 at /v3/ with the same body. Its links name whatever host it was asked by, and
  // behind a proxy the root may belong to another service or to none.
  for (const path of ["/", "/v3/"]) {
    try {
      const { body } = await session.request("blockStorage", {
        method: "GET",
        base: root,
        path,
        schema: versionsSchema,
        accept: [200, 300],
        parseError: cinderError,
      });
      const v3 = body.versions.find(({ id }) => /^v3(\.|$)/.test(id));
      if (v3) return chooseVersion(v3.version, v3.min_version);
    } catch (error) {
      // If the host cannot be reached at all, its other addresses cannot either.
      const answered = error instanceof SnapcloneError && error.parts.status !== undefined;
      if (!answered) throw error;
    }
  }
  return probe(session, api);
}

/** For an endpoint without a list of versions: sends a request with the newest version and reads the response. */
async function probe(session: KeystoneSession, api: string): Promise<string> {
  const { status, headers, body } = await session.request("blockStorage", {
    method: "GET",
    base: api,
    path: "/snapshots",
    query: { limit: 0 },
    headers: versionHeader(NEWEST),
    schema: anySchema,
    accept: [200, 406],
    parseError: cinderError,
  });
  if (status === 406) {
    const range = /Minimum is (\d+\.\d+) and maximum is (\d+\.\d+)/.exec(parseFault(body)?.message ?? "");
    return chooseVersion(range?.[2] ?? "", range?.[1] ?? "");
  }
  // An API that predates microversions (Liberty) neither knows the header nor returns it.
  return headers["openstack-api-version"]?.includes(NEWEST) ? NEWEST : OLDEST;
}

/** "volume" is the service type here, whatever the catalogue says (docs/wire/openstack.md#c3). */
export function versionHeader(microversion: string): Record<string, string> {
  return { "openstack-api-version": `volume ${microversion}` };
}

/** The lower of what Cinder and this code know. Without any version it is the API before microversions. */
function chooseVersion(max: string, min: string): string {
  const lower = compareVersions(max || OLDEST, NEWEST) < 0 ? max || OLDEST : NEWEST;
  return compareVersions(min || OLDEST, lower) > 0 ? min : lower;
}
