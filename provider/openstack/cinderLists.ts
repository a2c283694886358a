// Reads a list of Cinder's to its last page (docs/wire/openstack.md#a6).

import { isKind, SnapcloneError } from "../core/errors";
import type { Query } from "./keystone";

export interface Page<Row> {
  rows: Row[];
  links: { rel: string; href: string }[];
  count?: number | undefined;
}

export interface Listing<Row> {
  rows: Row[];
  /** Cinder's count of everything that matches, if the query asked for it. */
  count?: number;
}

/** Cinder's default of osapi_max_limit (docs/wire/openstack.md#a6): the largest page if the query sets no limit. */
const FULL_PAGE = 1000;
const MAX_RESTARTS = 3;

/** `noun` is what messages call the rows: "snapshots". */
export async function readAllPages<Row extends { id: string }>(
  noun: string,
  filters: Query,
  fetchPage: (query: Query) => Promise<Page<Row>>,
): Promise<Listing<Row>> {
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await readPages(noun, filters, fetchPage);
    } catch (error) {
      if (!(error instanceof MarkerDeleted)) throw error;
      if (restarts >= MAX_RESTARTS) throw error.reason;
    }
  }
}

async function readPages<Row extends { id: string }>(
  noun: string,
  given: Query,
  fetchPage: (query: Query) => Promise<Page<Row>>,
): Promise<Listing<Row>> {
  const rows: Row[] = [];
  const markers = new Set<string>();
  let count: number | undefined;
  let filters = given;
  let query = given;
  for (;;) {
    const page = await fetchPage(query).catch((error: unknown) => {
      if (markers.size > 0 && isKind(error, "notFound")) throw new MarkerDeleted(error, noun);
      const smaller = Math.floor((Number(query.limit) || FULL_PAGE) / 4);
      if (!isKind(error, "malformed") || !error.parts.tooLarge || smaller < 1) throw error;
      return smaller;
    });
    if (typeof page === "number") {
      // The page was too large to be read: go on from here in smaller pages.
      filters = { ...filters, limit: page };
      query = { ...query, limit: page };
      continue;
    }
    rows.push(...page.rows);
    count ??= page.count;
    const next = page.links.find(({ rel }) => rel === "next");
    if (!next) return count === undefined ? { rows } : { rows, count };
    // The host of the link is Cinder's own name for itself (docs/wire/openstack.md#a6) and often not reachable. Only the
    // marker is used.
    const marker = markerOf(next.href) ?? page.rows.at(-1)?.id;
    if (marker === undefined || markers.has(marker)) throw endless(noun, marker);
    markers.add(marker);
    query = { ...filters, marker, offset: undefined };
  }
}

function markerOf(href: string): string | undefined {
  const link = URL.canParse(href, "http://link") ? new URL(href, "http://link") : undefined;
  return link?.searchParams.get("marker") ?? undefined;
}

/** The row that ended a page was deleted before the next page was requested, so that the list has to begin again. */
class MarkerDeleted extends Error {
  readonly reason: SnapcloneError;

  constructor(notFound: SnapcloneError, noun: string) {
    super("the marker of a list was deleted");
    this.reason = new SnapcloneError({
      ...notFound.parts,
      kind: "transient",
      hint: `Some ${noun} are deleted faster than they can be listed. Run again.`,
    });
  }
}

function endless(noun: string, marker: string | undefined): SnapcloneError {
  return new SnapcloneError({
    kind: "malformed",
    message: `Cinder's list of ${noun} does not end: ${marker ? `its next page is ${marker} again` : "the link to its next page has no marker"}`,
    hint: "Check that no proxy answers in Cinder's place or removes the query of a request.",
  });
}
