// Assets and archives among values. Pulumi's wire has an object with a signature for each, and two forms of the object: a diff,
// and what an update knows of the state, have the hash alone; a create and the inputs of an update have path or text, too
// (docs/wire/pulumi-engine.md#native).

/** sdk/go/common/resource/sig/sig.go of pulumi/pulumi. */
export const SIGNATURE_KEY = "4dabf18193072939515e22adb298388d";
const ASSET_SIGNATURES = new Set<unknown>(["c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"]);

/** The part of an asset that both forms have; undefined for any other value. */
export function hashedAsset(value: object): object | undefined {
  const { [SIGNATURE_KEY]: signature, hash } = value as { [SIGNATURE_KEY]?: unknown; hash?: unknown };
  // Without a hash, the path is all that tells two of them apart.
  if (!ASSET_SIGNATURES.has(signature) || typeof hash !== "string") return undefined;
  return { [SIGNATURE_KEY]: signature, hash };
}

export function hasAssets(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return hashedAsset(value) !== undefined || Object.values(value).some(hasAssets);
}
