// AssistedSnapshot on the real engine, against a real Nova: the scenarios of the emulator, word for word.

import { describeEngine } from "../engine/harness";
import { assistedSnapshotScenarios } from "../scenarios/assistedSnapshot";
import { bootGuest, type Guest } from "./guest";
import { describeNova } from "./lab";

describeNova("a real Nova", (lab) => {
  describeEngine("AssistedSnapshot", () => {
    let guest: Guest | undefined;

    assistedSnapshotScenarios(async () => {
      guest = await bootGuest(lab());
      return guest;
    });

    afterAll(() => guest?.end());
  });
});
