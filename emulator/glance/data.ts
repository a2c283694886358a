// The data that a user gives Glance: images.

import * as z from "zod";
import { type DataDefinition, given, texts, uuid } from "../core/data";
import { type GlanceModel, IMAGE_STATUSES, VISIBILITIES } from "./model";

export interface GlanceData {
  images?: GlanceImage[] | undefined;
}

export interface GlanceImage {
  id?: string | undefined;
  name: string;
  /** Bytes. @default the content's */
  size?: number | undefined;
  /** What a download answers: a text. */
  content?: string | undefined;
  /** @default "active" */
  status?: (typeof IMAGE_STATUSES)[number] | undefined;
  /** @default "public" */
  visibility?: (typeof VISIBILITIES)[number] | undefined;
  /** @default "qcow2" */
  diskFormat?: string | undefined;
  /** @default "bare" */
  containerFormat?: string | undefined;
  /** @default 0 */
  minDiskGiB?: number | undefined;
  /** @default 0 */
  minRamMiB?: number | undefined;
  tags?: string[] | undefined;
  properties?: Record<string, string> | undefined;
}

export const data: DataDefinition<GlanceModel, GlanceData> = {
  schema: z.strictObject({
    images: z
      .array(
        z
          .strictObject({
            id: uuid().optional(),
            name: z.string().min(1).max(255),
            size: z.int().min(0).optional(),
            content: z.string().max(1_048_576).optional(),
            status: z.enum(IMAGE_STATUSES).optional(),
            visibility: z.enum(VISIBILITIES).optional(),
            diskFormat: z.string().min(1).optional(),
            containerFormat: z.string().min(1).optional(),
            minDiskGiB: z.int().min(0).optional(),
            minRamMiB: z.int().min(0).optional(),
            tags: z.array(z.string().max(255)).optional(),
            properties: texts().optional(),
          })
          .refine(({ size, content }) => size === undefined || content === undefined, {
            message: "must not be given beside the content, which has a size of its own",
            path: ["size"],
          }),
      )
      .optional(),
  }),
  known: ({ images }) => ({ images: [...images.values()] }),
  load(model, { images = [] }) {
    for (const { content, diskFormat, containerFormat, minDiskGiB, minRamMiB, ...row } of images) {
      const fields = {
        visibility: "public" as const,
        ...given(row),
        ...given({ disk_format: diskFormat, container_format: containerFormat }),
        ...given({ min_disk: minDiskGiB, min_ram: minRamMiB }),
      };
      model.createImage({ ...fields, ...(content === undefined ? {} : { content: Buffer.from(content) }) });
    }
  },
};
