// What Pulumi's dynamic provider process loads, as `pulumi-snapclone/dynamic/v1`: one ResourceProvider for each resource
// type. This path and the names exported here are in the state of every resource ever made: they stay for ever.

import type * as pulumi from "@pulumi/pulumi";
import type { AnyDefinition, HiddenInputs } from "./core/definition";
import { SnapcloneError } from "./core/errors";
import { diffWithImport } from "./core/import";
import * as lifecycle from "./core/lifecycle";
import type { Properties } from "./core/operation";
import { PartialFailure } from "./core/outputs";
import { Run } from "./core/run";
import { attemptJournal } from "./pulumi/attempts";
import {
  answerOf,
  engineLog,
  passRequestFields,
  superviseRun,
  takeRandomSeed,
  takeTimeout,
  tellErrorsOnce,
} from "./pulumi/engine";
import { type FormerSecrets, formerSecrets, keepFormer, NONE, stateWithSecrets } from "./pulumi/formerSecrets";
import { stateOrigin } from "./pulumi/origin";
import { protectSecretInputs, wrapSecrets } from "./pulumi/secrets";
import { askState } from "./pulumi/state";
import { forEachResource } from "./resources";

let originOverride: string | undefined;
const run = new Run({
  log: engineLog(),
  askState,
  attempts: attemptJournal(),
  origin: () => stateOrigin(originOverride),
});
superviseRun(run);
passRequestFields();
tellErrorsOnce();

const providers = forEachResource(toResourceProvider);

function toResourceProvider(definitionOf: () => AnyDefinition): pulumi.dynamic.ResourceProvider {
  return {
    // Only the first caller awaits this, the others go on at once (docs/wire/pulumi-engine.md#configure): so it is done
    // before it returns, and connections are opened when they are needed.
    configure({ config }) {
      originOverride = config.get("snapclone:origin");
      run.configure({
        connections: config.get("snapclone:connections"),
        adoptWithin: config.get("snapclone:adoptWithin"),
      });
      return Promise.resolve();
    },
    check: (olds, news) =>
      toPulumiError(async () => {
        protectSecretInputs(news);
        // The engine gives olds to what exists: only for what is to be made is there a seed.
        const isNew = Object.keys(olds ?? {}).length === 0;
        const randomSeed = takeRandomSeed(news, isNew ? (news as HiddenInputs).__owner : undefined);
        return lifecycle.check(definitionOf(), run, olds ?? {}, news, randomSeed);
      }),
    diff: (id, olds, news) =>
      toPulumiError(() => {
        protectSecretInputs(news);
        run.registerRecorded(definitionOf(), id);
        run.registerUrn((news as HiddenInputs).__owner);
        const difference = diffWithImport(definitionOf(), run, id, olds, news);
        // A state of the native provider: a delete gets the outputs alone, and finds this code by one of them.
        const isNative = (olds as HiddenInputs).__provider === undefined;
        return isNative && difference.changes === false ? { changes: true } : difference;
      }),
    create: (inputs) =>
      toPulumiError(async () => {
        protectSecretInputs(inputs);
        const timeoutMs = takeTimeout(inputs);
        const { id, outs } = await lifecycle.create(definitionOf(), run, inputs, timeoutMs);
        return { id, outs: wrapSecrets(definitionOf(), outs) };
      }),
    read: (id, props) =>
      toPulumiError(async () => {
        protectSecretInputs(props ?? {});
        const known: Properties = props ?? {};
        const former = formerSecrets(definitionOf(), stateWithSecrets(definitionOf(), { ...known, __secrets: [] }));
        const found = await lifecycle.read(definitionOf(), run, id, known);
        return found.props === undefined ? found : { ...found, props: marked(found.props, former) };
      }),
    update: (id, olds, news) => {
      let former = NONE;
      return toPulumiError(
        async () => {
          protectSecretInputs(olds);
          protectSecretInputs(news);
          const timeoutMs = takeTimeout(news);
          former = formerBetween(olds, news);
          const { outs } = await lifecycle.update(definitionOf(), run, id, olds, news, timeoutMs);
          return { outs: marked(outs, former) };
        },
        () => former,
      );
    },
    delete: (id, props) =>
      toPulumiError(() => {
        protectSecretInputs(props);
        return lifecycle.remove(definitionOf(), run, id, props, takeTimeout(props));
      }),
  };

  function formerBetween(olds: Properties, news: Properties): FormerSecrets {
    const definition = definitionOf();
    return formerSecrets(definition, stateWithSecrets(definition, olds), stateWithSecrets(definition, news));
  }

  function marked(outs: Properties, former: FormerSecrets): Properties {
    return wrapSecrets(definitionOf(), keepFormer(definitionOf(), outs, former));
  }

  /** Pulumi hangs on `throw undefined` and takes a numeric `code` for a gRPC status (docs/wire/pulumi-engine.md#errors): only Errors leave. */
  async function toPulumiError<T>(work: () => T | Promise<T>, former = () => NONE): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof PartialFailure) {
        throw Object.assign(error, { properties: marked(error.properties, former()) });
      }
      if (error instanceof SnapcloneError) throw answerOf(error.message);
      throw error instanceof Error ? error : new Error(String(error));
    }
  }
}

export = providers;
