// The order of the test files. Jest takes the slowest first, and in a fresh clone, where it knows no durations, the largest. The
// slowest files here are small, because they only call a table or a scenario: they would come last, one worker after all others.

const { default: Sequencer } = require("@jest/test-sequencer");

/** The slowest first. */
const SLOW = [
  /faults[\\/]table[\\/](clonedVm|linkedTargetSet)/,
  /engine[\\/](examples|import|scenarios)|engine[\\/]ownership/,
  /faults[\\/](table|waves)|malformed|convergence|engine[\\/](kill|scaffold|habits)|native[\\/]faults/,
];

module.exports = class extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => SLOW.findIndex((slow) => slow.test(path)) >>> 0;
    // Sorting is stable: within a rank, the order is Jest's.
    return [...super.sort(tests)].sort((one, other) => rank(one) - rank(other));
  }
};
