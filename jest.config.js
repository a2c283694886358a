const os = require("node:os");

// `unit`, `contract`, `faults`, `malformed`, `native`, `convergence` and `browser` run from the sources. `smoke`, `engine` and `openstack` drive the built
// package through a real `pulumi`, so they need `npm run build` before (npm test does it). CONTRIBUTING says what belongs where.
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "node",
  // @pulumi/pulumi leaves things on the global scope that Jest would warn of at each file.
  testEnvironmentOptions: { globalsCleanup: "off" },
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  modulePathIgnorePatterns: ["<rootDir>/dist/", "<rootDir>/.demo/", "<rootDir>/tools/scaffold/template/"],
  transform: { "^.+\\.ts$": ["ts-jest", { tsconfig: "<rootDir>/test/tsconfig.json", diagnostics: false }] },
  ...extra,
});

module.exports = {
  // The tests wait half of their time, for timers and sockets, so two workers for each core.
  maxWorkers: 2 * os.availableParallelism(),
  // Two loaded cores are slower than the five seconds that Jest allows by itself.
  testTimeout: 20_000,
  testSequencer: "<rootDir>/test/sequencer.js",
  projects: [
    project("unit"),
    // The command line runs in-process, against the emulator.
    project("contract", { testMatch: ["<rootDir>/test/{contract,cli}/**/*.test.ts"] }),
    project("faults"),
    project("malformed"),
    project("native"),
    project("convergence"),
    project("soak"),
    project("smoke"),
    project("browser"),
    project("package", { globalSetup: "<rootDir>/test/package/setup.ts" }),
    project("clients"),
    project("engine"),
    project("openstack", {
      globalSetup: "<rootDir>/test/openstack/setup.ts",
      globalTeardown: "<rootDir>/test/openstack/teardown.ts",
    }),
  ],
};
