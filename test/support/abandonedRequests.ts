// Counts the requests whose client has died while the server still works on them (by /proc, so on Linux only).

import { readFileSync } from "node:fs";

/** TCP's CLOSE_WAIT, as Linux numbers it (include/net/tcp_states.h): the client has closed the connection, the server has not. */
const CLOSE_WAIT = "08";

/** The server listens on 127.0.0.1. A connection that waits to be accepted counts, too. */
export function countAbandonedRequests(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state]) => address === local && state === CLOSE_WAIT).length;
}
