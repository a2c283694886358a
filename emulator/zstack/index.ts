import { type Credentials, defineService, type ServiceContext } from "../core/definition";
import { zstackControls } from "./control";
import { data } from "./data";
import { ZStackModel, type ZStackSettings, type ZStackTimings } from "./model";
import { ZStackService } from "./service";

export interface ZStackConnection {
  kind: "zstack";
  url: string;
  accountName: string;
  password: string;
}

export interface ZStackOptions {
  /** ZStack's version, language and global configuration. @default 5.2.1 in Chinese */
  zstack?: Partial<ZStackSettings>;
}

const TIMINGS: ZStackTimings = {
  zstackImage: 1000,
  zstackClone: 1000,
  zstackAction: 500,
  zstackSession: 7_200_000,
};

export const zstack = defineService({
  displayName: "ZStack",
  timings: TIMINGS,
  model: ({ clock, ids, timings, options }: ServiceContext<ZStackTimings, ZStackOptions>) =>
    new ZStackModel(clock, ids, timings, options.zstack ?? {}),
  service: (model) => new ZStackService(model),
  controls: zstackControls,
  data: () => data,
  tokens: {
    header: "Authorization",
    revoke: (model, token) => model.endSession(token.replace(/^OAuth /, "")),
    revokeAll: (model) => model.endAllSessions(),
  },
  credentials: (url, model): Credentials<ZStackConnection> => {
    const connection = (accountName = "admin"): ZStackConnection => {
      const password = model.accounts.get(accountName);
      if (password === undefined) throw new Error(`the emulator has no ZStack account ${accountName}`);
      return { kind: "zstack", url, accountName, password };
    };
    return {
      connection,
      env: (user) => {
        const { accountName, password } = connection(user);
        return { ZSTACK_URL: url, ZSTACK_ACCOUNT_NAME: accountName, ZSTACK_ACCOUNT_PASSWORD: password };
      },
    };
  },
});
