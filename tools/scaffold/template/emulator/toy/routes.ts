// The paths of Toy's API, after /toy.

import type { Reply, Route } from "../core/http";
import { type Context, createCopy, deleteCopy, labelCopy, listCopies, renameCopy, showCopy } from "./handlers";

export type Handler = (context: Context) => Reply;

export const LOGIN = { operation: "sessions.create", method: "POST", path: "/v1/sessions" } as const;
export const LOGOUT = { operation: "sessions.delete", method: "DELETE", path: "/v1/sessions" } as const;

export const ROUTES: readonly Route<Handler>[] = [
  { operation: "copies.list", method: "GET", path: "/v1/copies", handler: listCopies },
  { operation: "copies.create", method: "POST", path: "/v1/copies", handler: createCopy },
  { operation: "copies.show", method: "GET", path: "/v1/copies/{id}", handler: showCopy },
  { operation: "copies.rename", method: "PUT", path: "/v1/copies/{id}", handler: renameCopy },
  { operation: "copies.label", method: "PUT", path: "/v1/copies/{id}/labels", handler: labelCopy },
  { operation: "copies.delete", method: "DELETE", path: "/v1/copies/{id}", handler: deleteCopy },
];
