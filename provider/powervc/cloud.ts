// One PowerVC connection of a run: its login, its wire clients, and what its waits share.

import { type Clock, systemClock } from "../core/clock";
import type { ConnectionKind } from "../core/connections";
import { isKind } from "../core/errors";
import { Experience } from "../core/experience";
import { SharedLook } from "../core/sharedLook";
import { Cinder, type VolumeRow, whatIsMissing } from "../openstack/cinder";
import { OpenStackSession } from "../openstack/keystone";
import { PowerVcClient } from "./client";
import { resolvePowerVc } from "./connection";

export const powervc: ConnectionKind<PowerVc> = {
  kind: "powervc",
  open(request) {
    const settings = resolvePowerVc(request);
    for (const warning of settings.warnings) request.warn(warning);
    return new PowerVc(new OpenStackSession(settings));
  },
};

export class PowerVc {
  readonly cinder: Cinder;
  readonly client: PowerVcClient;
  /** For clones that are being deleted, whichever set they belong to. */
  readonly deleting: SharedLook<VolumeRow>;
  /** How long this PowerVC takes to delete one. */
  readonly experience = { deleting: new Experience() };
  /** On which volume the intent of a set is noted, where this run has seen it. */
  readonly places = new Map<string, string>();
  /** The sets that this run has asked PowerVC for. */
  readonly asked = new Set<string>();

  constructor(
    readonly session: OpenStackSession,
    clock: Clock = systemClock,
  ) {
    this.cinder = new Cinder(session);
    this.client = new PowerVcClient(session);
    this.deleting = new SharedLook({
      clock,
      absenceIsNews: true,
      one: (id) => this.volume(id),
      many: async () => {
        const rows = await this.cinder.listVolumesDetail({ status: "deleting" });
        return new Map(rows.map((row) => [row.id, row]));
      },
    });
  }

  /** undefined where Cinder itself says that it does not exist. */
  async volume(id: string, signal?: AbortSignal): Promise<VolumeRow | undefined> {
    try {
      return await this.cinder.showVolume(id, signal);
    } catch (error) {
      if (isKind(error, "notFound") && whatIsMissing(error) === "volume") return undefined;
      throw error;
    }
  }
}
