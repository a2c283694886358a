// The control routes for Glance's rows: they change a row at once, without the API's rules.

import { type ControlRoute, controlRoute, knownFields, removed } from "../core/control";
import { json } from "../core/http";
import type { GlanceModel, ImageRow } from "./model";
import { imageView } from "./views";

const IMAGE_FIELDS = [
  "id",
  "name",
  "status",
  "visibility",
  "disk_format",
  "container_format",
  "size",
  "min_disk",
  "min_ram",
  "owner",
  "tags",
  "properties",
] as const;

export function glanceControls(glance: GlanceModel): ControlRoute[] {
  return [
    controlRoute("POST", "/images", (body) =>
      json(201, { image: imageView(glance.createImage(knownFields<ImageRow>(body, IMAGE_FIELDS))) }),
    ),
    controlRoute("DELETE", "/images/{id}", (_, { id }) => removed("image", id, glance.images.delete(id ?? ""))),
  ];
}
