// Each resource of the registry is killed once in the native shell, too: the short plan gives each victim and each instant to
// some resource. The scenarios and the assertions are those of the dynamic classes.

import { killTests } from "../../kill/parallelRunner";
import { shortPlanFromEnvironment } from "../../kill/plan";
import type { ResourceCase } from "../../kill/resourceCase";
import { loadForEachResource } from "../../support/perResource";
import { describeEngine } from "../harness";

loadForEachResource<ResourceCase>("test/kill/cases").forEach((resource, place) => {
  describeEngine(`kills of the native ${resource.type}`, () => {
    const plan = shortPlanFromEnvironment(resource, place);
    killTests({ resource: { ...resource, shell: "native" }, plan, workers: 1 });
  });
});
