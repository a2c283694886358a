// Pulumi's init failure as the engine reads it from the details of a gRPC status: something exists, and these are the reasons
// why it is not complete.

import type { Metadata } from "@grpc/grpc-js";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";

/** Undefined if the status has no details: an ordinary error. */
export function initFailureIn(metadata: Metadata | undefined) {
  const [packed] = metadata?.get("grpc-status-details-bin") ?? [];
  if (packed === undefined) return undefined;
  const [detail] = Status.deserializeBinary(new Uint8Array(packed as Buffer)).getDetailsList();
  const failed = ErrorResourceInitFailed.deserializeBinary(detail?.getValue_asU8() ?? new Uint8Array());
  return {
    id: failed.getId(),
    outputs: failed.getProperties(),
    inputs: failed.getInputs(),
    reasons: failed.getReasonsList(),
  };
}
