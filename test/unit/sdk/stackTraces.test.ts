// The stack traces that Pulumi keeps for each promise of a resource are cut. Those that a user reads are not.

import { pathToFileURL } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { resourceNames } from "../../../provider/resources";
import * as dynamic from "../../../sdk";
import * as native from "../../../sdk/native";
import { SnapcloneResource } from "../../../sdk/resource";

const { Snapshot } = dynamic;

beforeAll(() =>
  pulumi.runtime.setMocks({ newResource: ({ name, inputs }) => ({ id: name, state: inputs }), call: () => ({}) }),
);

function makeResource(opts: pulumi.CustomResourceOptions = {}): dynamic.Snapshot {
  return new Snapshot("a", { volumeId: "v" }, opts);
}

test("an error of a transformation names its own line and the line that makes the resource", () => {
  const limit = Error.stackTraceLimit;
  const failing = () => {
    throw new Error("refused by a transformation");
  };
  let stack = "";
  try {
    makeResource({ transformations: [failing] });
  } catch (error) {
    stack = (error as Error).stack ?? "";
  }
  expect(stack).toMatch(/refused by a transformation\n +at failing .*\n +at makeResource /);
  expect(Error.stackTraceLimit).toBe(limit);
});

test("the limit of the program's own stack traces stays", async () => {
  const limit = Error.stackTraceLimit;
  await new Promise((resolve) => makeResource().urn.apply(resolve));
  expect(Error.stackTraceLimit).toBe(limit);
});

test("a hidden input without a value is no property of the resource", () => {
  const hidden = Object.keys(makeResource()).filter((key) => /^__(import|secrets|timeouts)$/.test(key));
  expect(hidden).toEqual([]);
});

test.each([
  ["dynamic", dynamic],
  ["native", native],
])(
  "the source position that the state keeps of a %s resource is the line of the program that makes it",
  async (_, sdk) => {
    const classes = Object.entries(sdk).filter(([, one]) => isResourceClass(one));
    expect(classes).toHaveLength(resourceNames.length);
    for (const [name, Resource] of classes) {
      const { position, frames } = await registrationOf(() => makeAny(Resource as ResourceClass, name));
      expect({ name, position }).toEqual({ name, position: pathToFileURL(__filename).toString() });
      expect({ name, own: frames.filter((file) => /\/sdk\/\w+\.ts$/.test(file)) }).toEqual({ name, own: [] });
    }
  },
);

type ResourceClass = new (name: string, args: object) => pulumi.CustomResource;

function isResourceClass(value: unknown): boolean {
  return typeof value === "function" && value.prototype instanceof SnapcloneResource;
}

function makeAny(Resource: ResourceClass, name: string): pulumi.CustomResource {
  return new Resource(name, { volumeId: "v" });
}

interface RegisterResourceRequest {
  getSourceposition(): { getUri(): string } | undefined;
  getStacktrace(): { getFramesList(): { getPc(): unknown; getSourceposition?(): { getUri(): string } | undefined }[] };
}

/** The files of the source position and of the stack trace that the engine gets with the resource. */
async function registrationOf(make: () => pulumi.CustomResource): Promise<{ position: string; frames: string[] }> {
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource(request: RegisterResourceRequest): unknown;
  };
  const registering = jest.spyOn(monitor, "registerResource");
  try {
    const resource = make();
    await new Promise((resolve) => resource.urn.apply(resolve));
    const [request] = registering.mock.calls[0] ?? [];
    const frames = request?.getStacktrace().getFramesList() ?? [];
    return {
      position: request?.getSourceposition()?.getUri() ?? "",
      frames: frames.map((frame) => frame.getSourceposition?.()?.getUri() ?? ""),
    };
  } finally {
    registering.mockRestore();
  }
}
