// The provider's HTTP client with a function in place of the network: answers are still read and classified.

import { HttpClient } from "../../provider/core/http/client";
import type { HttpRequest, RawResponse } from "../../provider/core/http/request";
import type { Clock } from "../../provider/core/util/clock";

export class AnsweredHttp extends HttpClient {
  constructor(
    clock: Clock,
    private readonly answer: (request: HttpRequest<unknown>) => Promise<RawResponse>,
  ) {
    super({ clock });
  }

  protected override async exchange(request: HttpRequest<unknown>): Promise<RawResponse> {
    return this.answer(request);
  }
}
