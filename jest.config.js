const os = require("node:os");

// Projects, fastest first. `unit`, `contract` and `faults` run from the sources; `engine` and `openstack` drive the built
// package through a real `pulumi`, so they need `npm run build` before (npm test does it).
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "node",
  // @pulumi/pulumi leaves things on the global scope that Jest would warn of at each file.
  testEnvironmentOptions: { globalsCleanup: "off" },
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  modulePathIgnorePatterns: ["<rootDir>/dist/", "<rootDir>/.demo/"],
  transform: { "^.+\\.ts$": ["ts-jest", { tsconfig: "<rootDir>/test/tsconfig.json", diagnostics: false }] },
  ...extra,
});

module.exports = {
  // Much of the engine tests is waiting: two at a time also on two cores, where Jest by itself takes one.
  maxWorkers: Math.max(2, Math.ceil(os.availableParallelism() / 2)),
  // Two loaded cores are slower than the five seconds that Jest allows by itself.
  testTimeout: 20_000,
  projects: [
    project("unit"),
    project("contract"),
    project("faults"),
    project("package", { globalSetup: "<rootDir>/test/package/setup.ts" }),
    project("engine"),
    project("openstack", {
      globalSetup: "<rootDir>/test/openstack/setup.ts",
      globalTeardown: "<rootDir>/test/openstack/teardown.ts",
    }),
  ],
};
