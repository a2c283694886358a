// Four projects, fastest first. `unit` and `contract` run from the sources; `engine` and `openstack` drive the built
// package through a real `pulumi`, so they need `npm run build` before (npm test does it).
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "node",
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  modulePathIgnorePatterns: ["<rootDir>/dist/", "<rootDir>/.demo/"],
  transform: { "^.+\\.ts$": ["ts-jest", { tsconfig: "<rootDir>/test/tsconfig.json", diagnostics: false }] },
  ...extra,
});

module.exports = {
  projects: [project("unit"), project("contract"), project("engine"), project("openstack")],
};
