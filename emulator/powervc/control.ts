// The control routes for PowerVC's clone flows.

import { type ControlRoute, controlRoute, knownFields, ok } from "../core/control";
import type { FlowBehaviour, PowerVcModel } from "./model";

const BEHAVIOUR_FIELDS = ["step", "fails", "leaves", "loses", "takes", "times"] as const;

export function powervcControls(powervc: PowerVcModel): ControlRoute[] {
  return [
    controlRoute("POST", "/powervc/behaviours", (body) => {
      powervc.behaviour(knownFields<FlowBehaviour>(body, BEHAVIOUR_FIELDS) as FlowBehaviour);
      return ok(201);
    }),
    controlRoute("DELETE", "/powervc/tasks", () => {
      powervc.forgetTasks();
      return ok();
    }),
  ];
}
