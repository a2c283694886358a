// An error tells an administrator how to reset a status. The command must be ready to be copied: it exists in python-openstackclient
// (`openstack snapshot set` left that in 4.0), and it names the object.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const PROVIDER = path.resolve(__dirname, "..", "..", "..", "provider");

// `statusCommand` writes it with the id; a text without the id at hand has `<id>`.
test("every command that sets a status names the object", () => {
  const wrong: string[] = [];
  for (const file of readdirSync(PROVIDER, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    const text = readFileSync(path.join(PROVIDER, file), "utf8");
    for (const [command] of text.matchAll(/openstack [a-z ]*set --state [^`]*`/g)) {
      if (!/^openstack volume (snapshot )?set --state \S+ <id>`$/.test(command)) wrong.push(`${file}: ${command}`);
    }
  }
  expect(wrong).toEqual([]);
});
