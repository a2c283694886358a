// User tags of the program that an update adds to the clones. ZStack does not tell who has set a tag, and what a killed update
// has done is not in the state. So the update first notes the new tags on one clone, as tags of the provider's own. A note
// tells later runs that a tag is ours. It goes when the state has the tag, or when the program no longer wants the tag.

import type { TagRow } from "../answers";
import type { Members } from "./members";
import { removeTags, tagNote, tagStep } from "./ownership";

export function notedTags({ tags }: Members): string[] {
  return tags.notes.map(({ tag }) => tag);
}

/** Notes the wanted tags that some clone lacks and that the state does not have. */
export async function noteNewTags(
  members: Members,
  wanted: readonly string[],
  managed: readonly string[],
): Promise<void> {
  const { cloud, context, id, living, record } = members;
  const [first] = living;
  const isLacking = (tag: string) =>
    living.some(({ uuid }) => !members.userTagsOf(uuid).some((one) => one.tag === tag));
  const fresh = wanted.filter((tag) => !managed.includes(tag) && isLacking(tag));
  if (first === undefined || fresh.length === 0) return;
  cloud.changedSets.add(id);
  const steps = fresh.map((tag) => {
    return tagStep(cloud, first.uuid, tagNote({ set: id, owner: record?.owner ?? "", tag }), first.name);
  });
  const query = (signal: AbortSignal): Promise<readonly TagRow[]> => cloud.tagsOn([first.uuid], signal);
  await cloud.runSteps("the new user tags to be noted", steps, query, context);
}

/** After the clones have got the program's tags. `managed`: the tags that the state has. */
export async function removeTagNotes(
  members: Members,
  wanted: readonly string[],
  managed: readonly string[],
): Promise<void> {
  const { cloud, context, id, tags } = members;
  const done = tags.notes.filter(({ tag }) => managed.includes(tag) || !wanted.includes(tag));
  if (done.length === 0) return;
  cloud.changedSets.add(id);
  await removeTags(cloud, done, context, context);
  members.forgetNotes(done);
}
