// The control routes for ViPR's rows: they act as a user in ViPR's own interface does, at once.

import { type ControlRoute, controlRoute, knownFields, ok } from "../core/control";
import { json } from "../core/http";
import type { ViprModel } from "./model";
import type { ViprBehaviour } from "./tasks";

const BEHAVIOUR_FIELDS = ["operation", "succeed", "suspend", "stuck", "undispatched", "ms"] as const;

export function viprControls(vipr: ViprModel): ControlRoute[] {
  return [
    ...rowControls(vipr),
    controlRoute("POST", "/vipr/behaviours", (body) => {
      const behaviour = knownFields<ViprBehaviour>(body, BEHAVIOUR_FIELDS);
      if (!["link", "unlink", "relink"].includes(String(behaviour.operation)))
        throw new Error("operation is link, unlink or relink");
      vipr.failNext(behaviour as ViprBehaviour);
      return ok(201);
    }),
  ];
}

function rowControls(vipr: ViprModel): ControlRoute[] {
  return [
    controlRoute("POST", "/vipr/sessions", (body) => {
      const { label, volume, group } = knownFields<Texts>(body, ["label", "volume", "group"]);
      if (typeof label !== "string") throw new Error("label is text");
      const of = typeof group === "string" ? { group } : { volume: String(volume) };
      return json(201, { id: vipr.createSession(label, of).id });
    }),
    controlRoute("DELETE", "/vipr/sessions/{id}", (_, { id }) => {
      vipr.deleteSessionNow(id ?? "");
      return ok();
    }),
    controlRoute("POST", "/vipr/volumes", (body) => {
      const { label, group } = knownFields<Texts>(body, ["label", "group"]);
      if (typeof label !== "string") throw new Error("label is text");
      return json(201, { id: vipr.createVolume(label, typeof group === "string" ? { group } : {}).id });
    }),
    controlRoute("POST", "/vipr/targets", (body) => {
      const { session, label } = knownFields<Texts>(body, ["session", "label"]);
      if (typeof label !== "string" || typeof session !== "string") throw new Error("session and label are text");
      return json(201, { id: vipr.linkNow(session, label).id });
    }),
    controlRoute("POST", "/vipr/targets/{id}/export", (_, { id }) => {
      vipr.setExported(id ?? "");
      return ok();
    }),
    controlRoute("DELETE", "/vipr/targets/{id}/export", (_, { id }) => {
      vipr.setExported(id ?? "", false);
      return ok();
    }),
    controlRoute("DELETE", "/vipr/targets/{id}", (_, { id }) => {
      vipr.unlinkNow(id ?? "");
      return ok();
    }),
  ];
}

type Texts = Record<"label" | "volume" | "group" | "session", unknown>;
