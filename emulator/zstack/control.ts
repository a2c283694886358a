// The control routes for ZStack's clones, settings and VMs.

import { type ControlRoute, controlRoute, knownFields, ok, removed, withNamePattern } from "../core/control";
import { json } from "../core/http";
import { CLONE_OUTCOMES, type CloneBehaviour, type ZStackModel, type ZStackSettings } from "./model";

const BEHAVIOUR_FIELDS = ["match", "outcome", "times"] as const;

export function zstackControls(zstack: ZStackModel): ControlRoute[] {
  return [
    controlRoute("POST", "/zstack/clone-behaviours", (body) => {
      zstack.cloneBehaviour(behaviourFromJson(body));
      return ok(201);
    }),
    controlRoute("PATCH", "/zstack/settings", (body) => {
      const given = knownFields<ZStackSettings>(body, Object.keys(zstack.settings));
      return json(200, Object.assign(zstack.settings, given));
    }),
    controlRoute("DELETE", "/zstack/vms/{uuid}", (_, { uuid }) => removed("VM", uuid, zstack.removeVm(uuid ?? ""))),
  ];
}

function behaviourFromJson(body: unknown): CloneBehaviour {
  const given = knownFields<CloneBehaviour>(body, BEHAVIOUR_FIELDS);
  const outcome = CLONE_OUTCOMES.find((one) => one === given.outcome);
  if (outcome === undefined) throw new Error(`outcome is one of ${CLONE_OUTCOMES.join(", ")}`);
  return withNamePattern({ ...given, outcome });
}
