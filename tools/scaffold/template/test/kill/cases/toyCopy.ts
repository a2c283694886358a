// ToyCopy in the kill suite: several copies of one volume, told apart by the record in their labels.

import { startEmulator } from "../../../emulator/index";
import { TOY_VOLUMES, type ToyCopyRow } from "../../../emulator/toy/model";
import { COMMON_SCENARIOS } from "../plan";
import { type BackendFixture, type Copy, LATENCY_MS, programOf, RequestSpy, type ResourceCase } from "../resourceCase";

export const toyCopy: ResourceCase = {
  type: "ToyCopy",
  scenarios: COMMON_SCENARIOS,
  size: 4,
  openBackend,
  program: ({ sources: [source] }, size) => programOf(size, (name) => ({ source, name: `${name} of the day` })),
  changed: ({ source, name }) => ({ source, name: `${name} anew` }),
  expectedCopies: ({ source, name }) => [{ source: String(source), attributes: { status: "available", name } }],
  copyIdsOf: ({ id }) => [id],
  isComplete: ({ status }) => status === "available",
  namesCopies: true,
};

async function openBackend(): Promise<BackendFixture> {
  const emulator = await startEmulator({ latencyMs: LATENCY_MS, timings: { toyCreate: 600, toyDelete: 300 } });
  const { toy, requests } = emulator;
  const spy = new RequestSpy(requests, {
    create: /^copies\.create$/,
    delete: /^copies\.delete$/,
    poll: /^copies\.(list|show)$/,
  });
  spy.watch(toy.copies);
  const startDelete = toy.startDelete.bind(toy);
  toy.startDelete = (row) => {
    const others = [...toy.copies.values()].filter((other) => other !== row && ownerOf(other) === ownerOf(row));
    spy.recordDeletion(
      copyOf(row),
      others.some(({ status }) => status === "available"),
    );
    startDelete(row);
  };
  return {
    connections: { default: { ...toy.connection() } },
    sources: [TOY_VOLUMES[0], TOY_VOLUMES[1]],
    async copies() {
      toy.advance();
      return [...toy.copies.values()].map(copyOf);
    },
    async reset() {
      emulator.reset();
      spy.clear();
    },
    spy,
    close: () => emulator.close(),
  };
}

function copyOf(row: ToyCopyRow): Copy {
  const { id, source, status, name, labels } = row;
  return {
    id,
    owner: ownerOf(row),
    source,
    attributes: { status, name },
    hasRecord: labels["snapclone-attempt"] !== undefined,
    isDeleting: status === "deleting",
  };
}

function ownerOf({ labels }: ToyCopyRow): string {
  return labels["snapclone-owner"] ?? "";
}
