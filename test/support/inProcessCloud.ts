// The emulator's services without a socket: a request goes in, a reply comes out, in the same turn. For tests that need
// ten thousand clouds in seconds.

import { CinderService } from "../../emulator/cinder";
import { CinderModel } from "../../emulator/cinderModel";
import { Clock } from "../../emulator/clock";
import type { Reply, Service } from "../../emulator/http";
import { Ids } from "../../emulator/ids";
import { KeystoneModel, KeystoneService } from "../../emulator/keystone";

export const IN_PROCESS_URL = "http://cloud.test";

const TIMINGS = { snapshotCreate: 2000, snapshotDelete: 1000, snapshotRevert: 1000, volumeCreate: 0, volumeDelete: 0 };

export interface InProcessRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: unknown;
}

export class InProcessCloud {
  readonly keystone: KeystoneModel;
  readonly cinder: CinderModel;
  private readonly services: readonly Service[];
  private readonly ids = new Ids(1);

  constructor() {
    const clock = new Clock("instant");
    const { ids } = this;
    this.keystone = new KeystoneModel(clock, ids, () => 3_600_000);
    const owner = () => ({
      projectId: this.keystone.projectNamed("demo").id,
      userId: this.keystone.userNamed("demo").id,
    });
    this.cinder = new CinderModel(clock, ids, TIMINGS, {}, owner);
    this.services = [
      new KeystoneService(this.keystone, ids, clock),
      new CinderService(this.cinder, this.keystone, ids, "3.70"),
    ];
    for (const service of this.services) service.reset();
  }

  /** Ids and tokens begin again from the first: ten thousand logins would be ten thousand secrets to look for. */
  repeatIds(): void {
    this.ids.reset();
  }

  /** undefined: no server has this address. */
  answer({ method, url, headers, body }: InProcessRequest): Reply | undefined {
    const { origin, pathname, search } = new URL(url);
    const service = this.services.find(({ prefix }) => pathname === prefix || pathname.startsWith(`${prefix}/`));
    if (origin !== IN_PROCESS_URL || !service) return undefined;
    const request = {
      method,
      path: pathname,
      target: pathname + search,
      query: new URLSearchParams(search),
      headers,
      origin,
      text: body === undefined ? "" : JSON.stringify(body),
    };
    return service.resolve(request).run();
  }
}
