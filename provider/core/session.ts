// One login to a backend, shared by everything that uses the connection: all callers wait for the same login, a refused
// one is not tried again, and a session that the backend has lost costs one new login.

import { beginShared, waitForShared } from "./currentOperation";
import { asSnapcloneError, isKind, type SnapcloneError } from "./errors";
import { stopped, withAbort } from "./util/abort";
import type { Clock } from "./util/clock";

export interface SessionOptions<Login> {
  clock: Clock;
  /** For the error of a failed login: "log in at https://…". */
  operation: string;
  /** Asks the backend for a login. `previous` is the login that `isFresh` or `serves` has refused. */
  logIn(previous: Login | undefined): Promise<Login>;
  /** False when the login has to be renewed before the next request. Default: it lasts until the backend rejects it. */
  isFresh?(login: Login): boolean;
  /** True when the login, though due for renewal, serves while the backend cannot be reached. Default: it does not. */
  serves?(login: Login): boolean;
}

/** After a login that got no answer: how long all callers fail with it before the next one tries again. */
const UNREACHABLE_MS = 2_000;

export class Session<Login> {
  private login: Login | undefined;
  private loggingIn: Promise<Login> | undefined;
  private failed: { error: SnapcloneError; until: number } | undefined;

  constructor(private readonly options: SessionOptions<Login>) {}

  /** The present login, fresh or not; undefined before the first one. */
  get current(): Login | undefined {
    return this.login;
  }

  /** An abort ends this caller's wait. The login itself goes on for the others. */
  async open(signal: AbortSignal | undefined): Promise<Login> {
    const { isFresh = () => true, serves = () => false } = this.options;
    if (signal?.aborted) throw stopped();
    if (this.login !== undefined && isFresh(this.login)) return this.login;
    this.loggingIn ??= beginShared(() => this.authenticate()).finally(() => {
      this.loggingIn = undefined;
    });
    try {
      return await waitForShared(withAbort(this.loggingIn, signal), `to ${this.options.operation}`);
    } catch (error) {
      if (isKind(error, "transient") && this.login !== undefined && serves(this.login)) return this.login;
      throw error;
    }
  }

  /**
   * Sends a request with the login, and once more with a new login if `isLost` says that the backend has rejected the
   * first one. `rejectedAgain` words the error of a second rejection.
   */
  async send<T>(
    request: (login: Login) => Promise<T>,
    signal: AbortSignal | undefined,
    isLost: (error: unknown) => error is SnapcloneError,
    rejectedAgain: (error: SnapcloneError) => SnapcloneError = (error) => error,
  ): Promise<T> {
    const first = await this.open(signal);
    try {
      return await request(first);
    } catch (error) {
      if (!isLost(error)) throw error;
    }
    this.drop(first);
    const second = await this.open(signal);
    try {
      return await request(second);
    } catch (error) {
      throw isLost(error) ? rejectedAgain(error) : error;
    }
  }

  /** The next request logs in anew, unless another request has already replaced this login. */
  drop(login: Login): void {
    if (this.login === login) this.login = undefined;
  }

  /**
   * The login to be ended, if there is one. A login that is under way is waited for, since the backend keeps its session even
   * if all callers have left. A later request would log in anew.
   */
  async end(): Promise<Login | undefined> {
    await this.loggingIn?.catch(() => {});
    const { login } = this;
    this.login = undefined;
    return login;
  }

  private async authenticate(): Promise<Login> {
    const { clock, operation, logIn } = this.options;
    if (this.failed && clock.now() < this.failed.until) throw this.failed.error;
    try {
      this.login = await logIn(this.login);
      this.failed = undefined;
      return this.login;
    } catch (thrown) {
      const error = asSnapcloneError(thrown, operation);
      // The credential stays the same as long as the process lives, so a refused one stays refused. Each further attempt
      // would come nearer to a lock: Keystone's lockout_failure_attempts, ViPR's ten logins (docs/wire/vipr.md#login),
      // ZStack's captcha (docs/wire/zstack.md#s1-1).
      const isRefusal = !isKind(error, "transient", "malformed", "ambiguous", "deadline", "stopped");
      this.failed = { error, until: isRefusal ? Number.POSITIVE_INFINITY : clock.now() + UNREACHABLE_MS };
      throw error;
    }
  }
}
