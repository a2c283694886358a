import { type Credentials, defineService, type ServiceContext } from "../core/definition";
import { viprControls } from "./control";
import { data } from "./data";
import { ViprModel } from "./model";
import { VIPR_TIMINGS, type ViprTimings } from "./rows";
import { ViprService } from "./service";

export interface ViprConnection {
  kind: "vipr";
  url: string;
  username: string;
  password: string;
}

export const vipr = defineService({
  displayName: "ViPR",
  timings: VIPR_TIMINGS,
  model: ({ clock, ids, timings }: ServiceContext<ViprTimings>) => new ViprModel(clock, ids, timings),
  service: (model) => new ViprService(model),
  controls: viprControls,
  data: () => data,
  tokens: {
    header: "X-SDS-AUTH-TOKEN",
    revoke: (model, token) => model.auth.revoke(token),
    revokeAll: (model) => model.auth.revokeAll(),
  },
  credentials: (origin, model): Credentials<ViprConnection> => {
    const url = `${origin}/vipr`;
    const connection = (username = "root"): ViprConnection => {
      const user = model.auth.users.get(username);
      if (user === undefined) throw new Error(`the emulator has no ViPR user ${username}`);
      return { kind: "vipr", url, username, password: user.password };
    };
    return {
      connection,
      env: (user) => {
        const { username, password } = connection(user);
        return { VIPR_URL: url, VIPR_USERNAME: username, VIPR_PASSWORD: password };
      },
    };
  },
});
