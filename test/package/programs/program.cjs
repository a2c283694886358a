// program.ts without types, as CommonJS.

const { listSnapshotsOutput, Snapshot } = require("pulumi-snapclone");

const nightly = new Snapshot("nightly", {
  volumeId: "11111111-1111-4111-8111-111111111111",
  metadata: { keep: "7" },
});

exports.id = nightly.id;
exports.status = nightly.status;
exports.listed = listSnapshotsOutput({ name: nightly.name }).apply((all) => all.map((found) => found.id));
exports.node = process.version;
