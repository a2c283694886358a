// What the states in states/ were made by: a snapshot with nothing but defaults, one with every input, one whose wait
// had ended at its deadline, and one that is only read.

const { Snapshot } = require("pulumi-snapclone");

const data = "11111111-1111-4111-8111-111111111111";
const logs = "22222222-2222-4222-8222-222222222222";

new Snapshot("plain", { volumeId: data });
new Snapshot("full", {
  volumeId: logs,
  name: "full",
  description: "the day before",
  metadata: { keep: "7" },
  force: true,
  triggers: ["mon", 1, true],
  connection: "default",
});
new Snapshot("late", { volumeId: data, name: "late" }, { customTimeouts: { create: process.env.LATE } });
Snapshot.get("foreign", process.env.FOREIGN);
