// Toy's REST API on the wire: logins and copies. Field names are the API's own; nothing here waits.

import * as z from "zod";
import { isKind, registerSecret, SnapcloneError } from "../core/errors";
import { HttpClient } from "../core/http/client";
import type { Patience } from "../core/http/rateGate";
import type { HttpRequest, ParsedError, RawResponse } from "../core/http/request";
import { Session } from "../core/session";
import { type Clock, systemClock } from "../core/util/clock";
import type { ToySettings } from "./connection";

const copySchema = z.looseObject({
  /** It becomes a part of addresses. */
  id: z.string().regex(/^[0-9a-f-]{36}$/),
  source: z.string(),
  name: z.string(),
  /** One of creating, available, error, deleting; a string, since a later version may add others. */
  status: z.string(),
  labels: z.record(z.string(), z.string()),
  created_at: z.iso.datetime(),
});
const loginAnswer = z.looseObject({ token: z.string().min(1), tenant: z.string().min(1) });
const copyAnswer = z.looseObject({ copy: copySchema });
const copiesAnswer = z.looseObject({ copies: z.array(copySchema) });
const errorBody = z.looseObject({ error: z.looseObject({ code: z.string(), message: z.string() }) });

export type CopyRow = z.infer<typeof copySchema>;

interface Login {
  token: string;
  tenant: string;
}

interface ToyRequest<T> extends Pick<HttpRequest<T>, "method" | "body" | "schema" | "signal"> {
  path: string;
}

export class ToyClient {
  private readonly http: HttpClient;
  private readonly session: Session<Login>;

  constructor(
    private readonly settings: ToySettings,
    { http, clock = systemClock, patience }: { http?: HttpClient; clock?: Clock; patience?: () => Patience } = {},
  ) {
    this.http = http ?? new HttpClient({ tls: settings.tls, clock, ...(patience ? { patience } : {}) });
    this.session = new Session({ clock, operation: `log in at ${settings.url}`, logIn: () => this.logIn() });
    registerSecret(settings.password);
  }

  /** What the login may see. */
  async tenant(signal?: AbortSignal): Promise<string> {
    return (await this.session.open(signal)).tenant;
  }

  async createCopy(copy: {
    source: string;
    name: string | undefined;
    labels: Record<string, string>;
  }): Promise<CopyRow> {
    // No signal: nobody knows what becomes of a create that is broken off.
    const request = { method: "POST", path: "/copies", body: { copy }, schema: copyAnswer } as const;
    return (await this.send(request)).copy;
  }

  /** "notFound" only if Toy itself says so. */
  async showCopy(id: string, signal?: AbortSignal): Promise<CopyRow> {
    return (await this.send({ method: "GET", path: `/copies/${id}`, schema: copyAnswer, signal })).copy;
  }

  /** Without a label: all copies. */
  async listCopies(label?: { key: string; value: string }): Promise<CopyRow[]> {
    const query = label ? `?${new URLSearchParams({ label: `${label.key}=${label.value}` })}` : "";
    return (await this.send({ method: "GET", path: `/copies${query}`, schema: copiesAnswer })).copies;
  }

  async renameCopy(id: string, name: string): Promise<CopyRow> {
    const body = { copy: { name } };
    return (await this.send({ method: "PUT", path: `/copies/${id}`, body, schema: copyAnswer })).copy;
  }

  /** Labels that are not named stay. */
  async labelCopy(id: string, labels: Record<string, string>): Promise<void> {
    await this.send({ method: "PUT", path: `/copies/${id}/labels`, body: { labels } });
  }

  /** Accepted, not done: the copy is gone when Toy no longer shows it. */
  async deleteCopy(id: string): Promise<void> {
    await this.send({ method: "DELETE", path: `/copies/${id}` });
  }

  /** Toy's time, from its latest answer. */
  serverTime(): Date | undefined {
    return this.http.serverTime(this.settings.url);
  }

  async logOut(): Promise<void> {
    const login = await this.session.end();
    try {
      if (login) await this.http.request(this.prepared({ method: "DELETE", path: "/sessions" }, login));
    } finally {
      await this.http.close();
    }
  }

  private async logIn(): Promise<Login> {
    const { url, username, password } = this.settings;
    const { body } = await this.http.request({
      method: "POST",
      url: `${url}/v1/sessions`,
      service: "Toy",
      body: { username, password },
      // A second login does no harm.
      idempotent: true,
      schema: loginAnswer,
      secretsIn: (text) => [...text.matchAll(/"token"\s*:\s*"([^"]+)"/g)].map(([, token]) => token ?? ""),
      parseError: (answer) => this.explainLogin(answer),
    });
    return body;
  }

  /** A request whose token Toy rejects was not carried out, a POST neither: it is sent once more with a new token. */
  private async send<T>(request: ToyRequest<T>): Promise<T> {
    const answer = await this.session.send(
      (login) => this.http.request(this.prepared(request, login)),
      request.signal,
      (error) => isKind(error, "unauthorized"),
      ({ parts }) => new SnapcloneError({ ...parts, hint: this.whereFrom() }),
    );
    return answer.body;
  }

  private prepared<T>({ path, ...rest }: ToyRequest<T>, { token }: Login): HttpRequest<T> {
    const url = `${this.settings.url}/v1${path}`;
    return { ...rest, url, service: "Toy", headers: { "x-toy-token": token }, parseError: explain };
  }

  private explainLogin(answer: RawResponse): Partial<ParsedError> | undefined {
    const explained = explain(answer);
    return answer.status === 401 ? { ...explained, kind: "unauthorized", hint: this.whereFrom() } : explained;
  }

  private whereFrom(): string {
    return `The credentials come from ${this.settings.source}.`;
  }
}

/** Only Toy's own body says that an object does not exist: a bare 404 is a wrong address. */
function explain({ status, json }: RawResponse): Partial<ParsedError> | undefined {
  const parsed = errorBody.safeParse(json);
  if (!parsed.success) return undefined;
  const { code, message } = parsed.data.error;
  return { message: `${code}: ${message}`, ...(status === 404 && code === "CopyNotFound" ? { kind: "notFound" } : {}) };
}
