// ClonedVm on a model of the engine, with a fresh ZStack for each test.

import { ZSTACK_SEED } from "../../emulator";
import { ZStackFixture } from "./zstackFixture";

export const WEB = { vmInstanceUuid: ZSTACK_SEED.web, names: ["web-1", "web-2"] };

export const FULL = { vmInstanceUuid: ZSTACK_SEED.db, names: ["db-1"], full: true };

export const good = { errors: [], killed: false, messages: "" };

// Pauses are random, so the number of requests is, too. Faults are set by a request's number, which must be stable.
beforeAll(() => jest.spyOn(Math, "random").mockReturnValue(0.5));

afterAll(() => jest.restoreAllMocks());

export let fixture: ZStackFixture;

/** Another ZStack and an empty stack. */
export function renew(...given: ConstructorParameters<typeof ZStackFixture>): void {
  fixture = new ZStackFixture(...given);
}

beforeEach(() => {
  renew();
});

export const uuidsOf = () => fixture.clones.map(({ uuid }) => uuid).sort();

export const cloned = () => [...fixture.zstack.volumes.values()].filter(({ name }) => name.endsWith("-clone"));

/** The number of the first request that matches. */
export async function numberOf(part: RegExp, command: () => Promise<unknown>): Promise<number> {
  await command();
  return fixture.sent.findIndex((one) => part.test(one));
}
