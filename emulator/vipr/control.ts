// What the control API offers of ViPR, for programs in another process.

import { isObject, json, type Reply, type Route } from "../core/http";
import type { ViprBehaviour, ViprModel } from "./model";

type Answer = (body: unknown, params: Readonly<Record<string, string>>) => Reply;

export function viprControls(
  vipr: ViprModel,
  route: (method: string, path: string, handler: Answer) => Route<Answer>,
): Route<Answer>[] {
  const done = () => json(200, { ok: true });
  return [
    route("POST", "/vipr/sessions", (body) => {
      const { label, volume, group, ...rest } = fields(body);
      refuseUnknown(rest);
      if (typeof label !== "string") throw new Error("label is text");
      const of = typeof group === "string" ? { group } : { volume: String(volume) };
      return json(201, { id: vipr.createSession(label, of).id });
    }),
    route("DELETE", "/vipr/sessions/{id}", (_, { id }) => {
      vipr.deleteSessionNow(id ?? "");
      return done();
    }),
    route("POST", "/vipr/volumes", (body) => {
      const { label, group, ...rest } = fields(body);
      refuseUnknown(rest);
      if (typeof label !== "string") throw new Error("label is text");
      return json(201, { id: vipr.createVolume(label, typeof group === "string" ? { group } : {}).id });
    }),
    route("POST", "/vipr/targets", (body) => {
      const { session, label, ...rest } = fields(body);
      refuseUnknown(rest);
      if (typeof label !== "string" || typeof session !== "string") throw new Error("session and label are text");
      return json(201, { id: vipr.linkNow(session, label).id });
    }),
    route("POST", "/vipr/behaviours", (body) => {
      const { operation, succeed, suspend, stuck, undispatched, ms, ...rest } = fields(body);
      refuseUnknown(rest);
      if (!["link", "unlink", "relink"].includes(String(operation)))
        throw new Error("operation is link, unlink or relink");
      const given = { operation, succeed, suspend, stuck, undispatched, ms };
      const behaviour = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
      vipr.failNext(behaviour as unknown as ViprBehaviour);
      return json(201, { ok: true });
    }),
    route("POST", "/vipr/targets/{id}/export", (_, { id }) => {
      vipr.setExported(id ?? "");
      return done();
    }),
    route("DELETE", "/vipr/targets/{id}/export", (_, { id }) => {
      vipr.setExported(id ?? "", false);
      return done();
    }),
    route("DELETE", "/vipr/targets/{id}", (_, { id }) => {
      vipr.unlinkNow(id ?? "");
      return done();
    }),
  ];
}

function fields(body: unknown): Record<string, unknown> {
  if (!isObject(body)) throw new Error("the body is an object");
  return body;
}

function refuseUnknown(rest: Record<string, unknown>): void {
  const unknown = Object.keys(rest);
  if (unknown.length > 0) throw new Error(`unknown field: ${unknown.join(", ")}`);
}
