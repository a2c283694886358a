// The exchanges that the emulator is held against, on the Nova of the lab: those that change nothing. A difference is one
// between the emulator and a real Nova.

import { type Answer, differences, type Exchange, readExchanges, Translation } from "../contract/recording";
import { describeNova } from "./lab";

/** They need an attached volume or a server in some state, and would switch or merge a disk. */
const CHANGING =
  /^(create ok|create without id|create with arbitrary id|service role|with microversion|latest|task_state set|stopped instance|no host|never launched|delete ok|delete, only volume_id|delete of unknown snapshot id|extra query, 2\.1|delete intermediary while stopped|delete top while stopped|delete while rebooting|multiattach .*)$/;

const exchanges = readExchanges("nova").filter(({ title }) => !CHANGING.test(title));

describeNova("a real Nova answers as the emulator does", (lab) => {
  test.each(exchanges.map((exchange) => [exchange.title, exchange] as const))("%s", async (_title, exchange) => {
    const answer = await send(exchange);
    expect(differences(exchange, answer, new Translation())).toEqual([]);
  });

  async function send({ method, path, note, requestBody, title }: Exchange): Promise<Answer> {
    const admin = /\[admin/.test(note);
    const version = /\((compute [^)]+)\)/.exec(note)?.[1];
    const answer = await lab().request(
      method,
      lab().novaUrl.replace(/\/v2\.1$/, path),
      requestBody === undefined ? undefined : title === "bad json" ? requestBody : JSON.parse(requestBody),
      {
        as: admin ? lab().adminConnection : lab().connection,
        // Without it an address that is not routed answers with a web page (webob).
        headers: { "OpenStack-API-Version": version ?? "compute 2.1", Accept: "application/json" },
      },
    );
    const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    return { status: answer.status, headers: answer.headers, text };
  }
});
