// How the status of a server follows from its states (nova/api/openstack/common.py:44-107 _STATE_MAP).

const REBUILDS = ["rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"];
const RESIZES = ["resize_prep", "resize_migrating", "resize_migrated", "resize_finish"];

/** By vm_state: the status, and what a task makes of it. */
const STATUSES: Readonly<
  Record<string, { readonly status: string; readonly tasks?: Readonly<Record<string, string>> }>
> = {
  active: {
    status: "ACTIVE",
    tasks: {
      ...each(["rebooting", "reboot_pending", "reboot_started"], "REBOOT"),
      ...each(["rebooting_hard", "reboot_pending_hard", "reboot_started_hard"], "HARD_REBOOT"),
      updating_password: "PASSWORD",
      ...each(REBUILDS, "REBUILD"),
      migrating: "MIGRATING",
      ...each(RESIZES, "RESIZE"),
    },
  },
  building: { status: "BUILD" },
  stopped: { status: "SHUTOFF", tasks: { ...each(RESIZES, "RESIZE"), ...each(REBUILDS, "REBUILD") } },
  resized: { status: "VERIFY_RESIZE", tasks: { resize_reverting: "REVERT_RESIZE" } },
  paused: { status: "PAUSED", tasks: { migrating: "MIGRATING" } },
  suspended: { status: "SUSPENDED" },
  rescued: { status: "RESCUE" },
  error: { status: "ERROR", tasks: each(REBUILDS, "REBUILD") },
  deleted: { status: "DELETED" },
  "soft-delete": { status: "SOFT_DELETED" },
  shelved: { status: "SHELVED" },
  shelved_offloaded: { status: "SHELVED_OFFLOADED" },
};

export function statusOf({ vm_state, task_state }: { vm_state: string; task_state: string | null }): string {
  const known = STATUSES[vm_state];
  return known?.tasks?.[task_state ?? ""] ?? known?.status ?? "UNKNOWN";
}

/**
 * The states that a filter by status asks for; task states are undefined where any will do. A status that
 * a vm_state has by itself asks for that state in any task (common.py:117-141, nova/api/openstack/compute/servers.py:197-212).
 */
export function statesOf(statuses: readonly string[]): { vm: readonly string[]; task: readonly string[] | undefined } {
  const wanted = statuses.map((status) => status.toLowerCase());
  const found = Object.entries(STATUSES).flatMap(([vm, { status, tasks = {} }]) =>
    [[null, status] as const, ...Object.entries(tasks)]
      .filter(([, name]) => wanted.includes(name.toLowerCase()))
      .map(([task]) => ({ vm, task })),
  );
  const tasks = found.map(({ task }) => task);
  const vm = [...new Set(found.map((state) => state.vm))];
  return { vm, task: tasks.includes(null) ? undefined : tasks.filter((task) => task !== null) };
}

function each(tasks: readonly string[], status: string): Record<string, string> {
  return Object.fromEntries(tasks.map((task) => [task, status]));
}
