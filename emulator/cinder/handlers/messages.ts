// User messages: why a snapshot failed (docs/wire/openstack.md#a11).

import { json, type Reply } from "../../core/http";
import { type CinderContext, isVisible, listReply } from "../context";
import { messageNotFound } from "../errors";
import type { ListKind } from "../lists";
import type { MessageRow } from "../model";
import { columnOf, words } from "../values";
import { messageView } from "../views";

const FILTERS = words("resource_uuid resource_type event_id request_id message_level");
const SORTABLE = [...FILTERS, ...words("id created_at guaranteed_until")];

export function list(context: CinderContext): Reply {
  const { model, minor, projectId, request } = context;
  const kind: ListKind<MessageRow> = {
    collection: "messages",
    rows: [...model.messages.values()].filter((row) => row.project_id === projectId),
    memberFilters: FILTERS,
    column: columnOf,
    sortable: SORTABLE,
    metadataFilterSince: 0,
    notFound: messageNotFound,
  };
  // Parameters count from 3.5 on (cinder/api/v3/messages.py index).
  const query = minor >= 5 ? request.query : new URLSearchParams();
  return listReply(context, kind, (row) => messageView(row, context), query);
}

export function show(context: CinderContext): Reply {
  return json(200, { message: messageView(findMessage(context), context) });
}

export function remove(context: CinderContext): Reply {
  context.model.messages.delete(findMessage(context).id);
  return { status: 204, headers: {}, body: "" };
}

function findMessage(context: CinderContext): MessageRow {
  const id = context.params.id ?? "";
  const row = context.model.messages.get(id);
  if (row === undefined || !isVisible(row, context)) throw messageNotFound(id);
  return row;
}
