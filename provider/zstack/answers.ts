// The bodies of ZStack's answers. Names are the API's own. The facts are in docs/wire/zstack.md.

import * as z from "zod";

/** Any other id would not fit into an address: it would be recorded and could never be found again. */
const uuidSchema = z.string().regex(/^[0-9a-f]{32}$/i, "not a uuid of 32 hex digits");
const optionalText = z.string().nullish();

const volumeSchema = z.looseObject({
  uuid: uuidSchema,
  name: optionalText,
  description: optionalText,
  type: optionalText,
  /** Some servers send a double (docs/wire/zstack.md#s2-7). */
  size: z.number().nullish(),
  primaryStorageUuid: optionalText,
  vmInstanceUuid: optionalText,
  lastVmInstanceUuid: optionalText,
  status: optionalText,
});

const vmSchema = z.looseObject({
  uuid: uuidSchema,
  name: z.string(),
  /** Usually one of docs/wire/zstack.md#states. A string, because versions add states. */
  state: z.string(),
  description: optionalText,
  type: optionalText,
  zoneUuid: optionalText,
  clusterUuid: optionalText,
  hostUuid: optionalText,
  rootVolumeUuid: optionalText,
  vmNics: z
    .array(z.looseObject({ uuid: z.string(), l3NetworkUuid: optionalText, ip: optionalText, mac: optionalText }))
    .nullish(),
  allVolumes: z.array(volumeSchema).nullish(),
});

const tagSchema = z.looseObject({ uuid: uuidSchema, resourceUuid: z.string(), tag: z.string() });

/** `total` is the number of all rows (docs/wire/zstack.md#schema). */
const listOf = <Row extends z.ZodType>(row: Row) =>
  z.looseObject({ inventories: z.array(row), total: z.number().nullish() });

export const responses = {
  login: z.looseObject({ inventory: z.looseObject({ uuid: uuidSchema }) }),
  valid: z.looseObject({ valid: z.boolean() }),
  version: z.looseObject({ version: z.string() }),
  apis: z.looseObject({ supportApis: z.array(z.string()) }),
  vms: listOf(vmSchema),
  volumes: listOf(volumeSchema),
  tags: listOf(tagSchema),
  uuids: listOf(z.looseObject({ uuid: uuidSchema })),
  configs: listOf(z.looseObject({ name: z.string(), value: optionalText })),
  progress: z.looseObject({ inventories: z.array(z.looseObject({ content: z.string().nullish() })) }),
  accepted: z.looseObject({ location: z.string().optional(), apiTimeout: z.number().optional() }),
  /** A job that has ended. Its fields depend on what the job did. */
  ended: z.looseObject({}),
  anything: z.unknown(),
};

export type VmRow = z.infer<typeof vmSchema>;
export type VolumeRow = z.infer<typeof volumeSchema>;
export type TagRow = z.infer<typeof tagSchema>;
