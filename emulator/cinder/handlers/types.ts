// Volume types: the list and one of them (cinder/api/v3/types.py), and the type that a create names.

import { json, type Reply } from "../../core/http";
import { HttpError } from "../../openstack/wsgi";
import { type CinderContext, listReply } from "../context";
import { invalid, volumeTypeNotFound } from "../errors";
import type { ListKind } from "../lists";
import type { VolumeType } from "../model";
import { columnOf, readBoolean, words } from "../values";
import { typeView } from "../views";

const SORTABLE = words("id name description is_public qos_specs_id created_at updated_at");

export function list(context: CinderContext): Reply {
  const { model, request, identity } = context;
  const query = new URLSearchParams(request.query);
  const isPublic = identity.isAdmin ? readIsPublic(query.get("is_public")) : true;
  query.delete("is_public");
  const kind: ListKind<VolumeType> = {
    collection: "types",
    keys: { rows: "volume_types", links: "volume_type_links" },
    rows: [...model.volumeTypes.values()].filter(({ is_public }) => isPublic === undefined || is_public === isPublic),
    memberFilters: ["is_public", "extra_specs"],
    filtersSince: 52,
    column: (row, name) => (name === "extra_specs" ? {} : columnOf(row, name)),
    sortable: SORTABLE,
    metadataFilterSince: 0,
    notFound: undefined,
  };
  return listReply(context, kind, (row) => typeView(row, identity.isAdmin), query);
}

/** By id only. The word `default` names the default type, whose answer lacks what an extension adds by the id. */
export function show(context: CinderContext): Reply {
  const { model, identity, params } = context;
  const id = params.id ?? "";
  if (id === "default") {
    const { "os-volume-type-access:is_public": _, ...view } = typeView(model.defaultVolumeType, identity.isAdmin);
    return json(200, { volume_type: view });
  }
  const type = visibleTypes(context).find((row) => row.id === id);
  if (type === undefined) throw volumeTypeNotFound(id);
  return json(200, { volume_type: typeView(type, identity.isAdmin) });
}

/** cinder/volume/volume_types.py:190-206: what looks like an id may be a name as well; a name is no other word. */
export function findByNameOrId(context: CinderContext, given: unknown): VolumeType {
  const wanted = String(given);
  const types = visibleTypes(context);
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(wanted);
  const byId = isId ? types.find(({ id }) => id === wanted) : undefined;
  const type = byId ?? types.find(({ name }) => name === wanted);
  if (type !== undefined) return type;
  // cinder/exception.py:361-368
  throw isId ? volumeTypeNotFound(wanted) : new HttpError(404, `Volume type with name ${wanted} could not be found.`);
}

/** cinder/db/sqlalchemy/api.py _volume_type_get_query */
function visibleTypes({ model, identity }: CinderContext): VolumeType[] {
  return [...model.volumeTypes.values()].filter(({ is_public }) => is_public || identity.isAdmin);
}

/** cinder/api/api_utils.py _parse_is_public: undefined is both. */
function readIsPublic(value: string | null): boolean | undefined {
  if (value === null) return true;
  if (value.toLowerCase() === "none") return undefined;
  const wanted = readBoolean(value);
  if (wanted === undefined) throw invalid(`Invalid is_public filter [${value}]`);
  return wanted;
}
