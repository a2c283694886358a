import { type Credentials, defineService, type ServiceContext } from "../core/definition";
import { toyControls } from "./control";
import { ToyModel, type ToyTimings } from "./model";
import { ToyService } from "./service";

export interface ToyConnection {
  kind: "toy";
  url: string;
  username: string;
  password: string;
}

const TIMINGS: ToyTimings = { toyCreate: 1000, toyDelete: 500 };

export const toy = defineService({
  displayName: "Toy",
  timings: TIMINGS,
  model: ({ clock, ids, timings }: ServiceContext<ToyTimings>) => new ToyModel(clock, ids, timings),
  service: (model) => new ToyService(model),
  controls: toyControls,
  tokens: {
    header: "X-Toy-Token",
    revoke: (model, token) => void model.sessions.delete(token),
    revokeAll: (model) => model.sessions.clear(),
  },
  credentials: (url, model): Credentials<ToyConnection> => {
    const connection = (username = "admin"): ToyConnection => {
      const password = model.users.get(username);
      if (password === undefined) throw new Error(`the emulator has no Toy user ${username}`);
      return { kind: "toy", url: `${url}/toy`, username, password };
    };
    return {
      connection,
      env: (user) => {
        const login = connection(user);
        return { TOY_URL: login.url, TOY_USERNAME: login.username, TOY_PASSWORD: login.password };
      },
    };
  },
});
