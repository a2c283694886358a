// The API reports in etc/: every exported name with its type, so that a change of the public API shows in a diff.

import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";

/** By name of the report: the entry point in dist/. */
const REPORTS = {
  "pulumi-snapclone": "sdk/index",
  "pulumi-snapclone-native": "sdk/native",
  "pulumi-snapclone-emulator": "emulator/index",
} as const;

/** Compares the built declarations with the reports, and rewrites these if asked. Returns the reports that differed. */
export function checkApiReports(root: string, rewrite: boolean): string[] {
  return Object.entries(REPORTS).flatMap(([name, entry]) => {
    const configObjectFullPath = path.join(root, "api-extractor.json");
    const configObject = ExtractorConfig.loadFile(configObjectFullPath);
    const temporary = path.join(tmpdir(), "snapclone-api");
    mkdirSync(temporary, { recursive: true });
    configObject.mainEntryPointFilePath = `<projectFolder>/dist/${entry}.d.ts`;
    configObject.apiReport = {
      enabled: true,
      reportFolder: "<projectFolder>/etc",
      reportTempFolder: temporary,
      reportFileName: `${name}.api.md`,
    };
    const packageJsonFullPath = path.join(root, "package.json");
    const config = ExtractorConfig.prepare({ configObject, configObjectFullPath, packageJsonFullPath });
    const { apiReportChanged } = Extractor.invoke(config, {
      localBuild: rewrite,
      messageCallback: (message) => {
        message.handled = true;
      },
    });
    return apiReportChanged ? [`etc/${name}.api.md`] : [];
  });
}
