// How Toy shows its rows.

import type { ToyCopyRow } from "./model";

export function copyView({ id, source, name, status, labels, createdAt }: ToyCopyRow): object {
  return { id, source, name, status, labels, created_at: createdAt.toISOString() };
}
