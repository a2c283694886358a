// The control routes for Toy.

import { type ControlRoute, controlRoute, ok, removed } from "../core/control";
import type { ToyModel } from "./model";

export function toyControls(model: ToyModel): ControlRoute[] {
  return [
    controlRoute("POST", "/toy/failures", () => {
      model.failNext();
      return ok(201);
    }),
    controlRoute("DELETE", "/toy/copies/{id}", (_, { id }) => removed("copy", id, model.copies.delete(id ?? ""))),
  ];
}
