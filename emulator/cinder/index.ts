import { defineService, type ServiceContext } from "../core/definition";
import { glance } from "../glance";
import { keystone } from "../keystone";
import { cinderControls } from "./control";
import { cinderData } from "./data";
import { CinderModel, type CinderTimings, type Quotas, SEED_VOLUMES } from "./model";
import { CinderService } from "./service";

export interface CinderOptions {
  /** The newest microversion of the block storage service; "3.59" for a Train-era cloud. @default "3.70" (Zed) */
  maxMicroversion?: string;
  /**
   * The filters by which a member may list snapshots (/etc/cinder/resource_filters.json). Cinder refuses any other.
   * @default name, status, volume_id, metadata, availability_zone, consumes_quota
   */
  snapshotFilters?: readonly string[];
  /** The quotas of every project. Generous by default. */
  quotas?: Partial<Quotas>;
}

const TIMINGS: CinderTimings = {
  snapshotCreate: 2000,
  snapshotDelete: 1000,
  snapshotRevert: 1000,
  volumeCreate: 1000,
  volumeDelete: 1000,
  volumeExtend: 1000,
};

export const cinder = defineService({
  displayName: "OpenStack",
  timings: TIMINGS,
  model: ({ clock, ids, timings, options, use }: ServiceContext<CinderTimings, CinderOptions>) => {
    const identity = use(keystone).model;
    const owner = () => ({ projectId: identity.projectNamed("demo").id, userId: identity.userNamed("demo").id });
    return new CinderModel(clock, ids, timings, options.quotas ?? {}, owner);
  },
  service: (model, { ids, options, use }) => {
    const behind = { keystone: use(keystone).model, glance: use(glance).model };
    return new CinderService(model, behind, ids, options.maxMicroversion ?? "3.70", options.snapshotFilters);
  },
  controls: cinderControls,
  data: ({ use }) => cinderData(() => use(keystone).model),
  seed: [
    `volumes   data ${SEED_VOLUMES.data} (10 GiB, available)`,
    `          logs ${SEED_VOLUMES.logs} (20 GiB, in-use)`,
  ],
});
