// Certificates and addresses that don't fit, on real sockets: each failure says what it is and which setting to change.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createSecure, type ServerOptions } from "node:https";
import { type AddressInfo, createServer as createTcp, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SnapcloneError } from "../../../provider/core/errors";
import { HttpClient, type HttpOptions } from "../../../provider/core/http/client";
import { systemClock } from "../../../provider/core/util/clock";
import { CERT, KEY } from "../../support/certificate";

// Made by openssl for this test, and good for nothing else: the key of CERT, encrypted; an authority; and a certificate of the
// authority that was valid in 2020.
const ENCRYPTED_KEY = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAifAlWsq6qv0wICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMDHnxPTXxFfn3rXhUvsMQgEgZCS
2sCf5MA18MkcaesEIdCRVrlfmu2VKlzyGdmTi/egsmm0m3I0NdgYl0pRdyWpXStJ
0Y4dJn8qqyREiKSL3u5uSAYBQUNi3syN3VEtdTnIOR4mMEnUpi/H26V2azn/0x9P
5vHE5v08YxOmOYb9fJ9fUzsYXhVTDB0551Id72PPz2De5vIihf6scoFpoNBHOTE=
-----END ENCRYPTED PRIVATE KEY-----
`;
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBcjCCARegAwIBAgIUe4W3WwxKK+iXTuNoNfpl1QuImYkwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI4MDYyMTIxWhgPMjEyNjExMDQwNjIxMjFa
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEB+9xb4bd
be53fs4G0skiwa8Y1u/yac2wj4viKHH5mR7oZSJuGfe2I9as2aBTOGbHXC0MXLkU
6SSDvvOBmg/s7KNTMFEwHQYDVR0OBBYEFI/OapPIEx+V2kwSdhholdMXayXcMB8G
A1UdIwQYMBaAFI/OapPIEx+V2kwSdhholdMXayXcMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSQAwRgIhAN2U41Na7+dhu8lxU5YgeSR53B7SMEemWnmKQE9d
dHxkAiEAmyoUg7I1k2bs/PbC0IfhIQ2qVYGHAlgp7MGfESp3JFU=
-----END CERTIFICATE-----
`;
const EXPIRED = `-----BEGIN CERTIFICATE-----
MIIBbzCCARSgAwIBAgIBATAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJjYTAeFw0y
MDAxMDEwMDAwMDBaFw0yMTAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9z
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIIZAGntIy9QDa7yc7hUo9IxUKDe
f33UgHv4W0A8VNLMYI9iz+9D0gBbH7fT0FHnGBbEZUqZb6xKs5BMQJCvSy6jXjBc
MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAdBgNVHQ4EFgQUrhGyJuXKTVUx
dyQ9gAi9ZdUevDowHwYDVR0jBBgwFoAUj85qk8gTH5XaTBJ2GGiV0xdrJdwwCgYI
KoZIzj0EAwIDSQAwRgIhALWKJyXzAI2t6RvfQVM5JBDYoOKHl63DTnlu3NxyLQIc
AiEA153pm/rNiVjsoLHwDaQtbBQF6PKBvyVZ5YlEWB3Ggbw=
-----END CERTIFICATE-----
`;
const OF_AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBcDCCARagAwIBAgIBAjAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJjYTAgFw0y
MDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJbG9jYWxo
b3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEghkAae0jL1ANrvJzuFSj0jFQ
oN5/fdSAe/hbQDxU0sxgj2LP70PSAFsft9PQUecYFsRlSplvrEqzkExAkK9LLqNe
MFwwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBSuEbIm5cpN
VTF3JD2ACL1l1R68OjAfBgNVHSMEGDAWgBSPzmqTyBMfldpMEnYYaJXTF2sl3DAK
BggqhkjOPQQDAgNIADBFAiAViWPznCy2gJpZsaMdyexgJmOkEx/qX+r6Sc0x3rMT
LwIhAIM0ka+YcrekYJFxRD5uig0IxUi514sA5yFTMbgvuu3z
-----END CERTIFICATE-----
`;
const EXPIRED_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvrKu8APWItEpmDF7
wntB2j20gC8zZc1WLMPkGEJfTLKhRANCAASCGQBp7SMvUA2u8nO4VKPSMVCg3n99
1IB7+FtAPFTSzGCPYs/vQ9IAWx+309BR5xgWxGVKmW+sSrOQTECQr0su
-----END PRIVATE KEY-----
`;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: Server, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const secure = (options: ServerOptions) => createSecure(options, (_request, response) => response.end("{}"));
const plain = () => createPlain((_request, response) => response.end("{}"));

async function ask(url: string, tls: HttpOptions["tls"] = {}, env = {}): Promise<SnapcloneError["parts"] | undefined> {
  const clock = { ...systemClock, sleep: async () => {} };
  const http = new HttpClient({ tls, clock, env, connectMs: 2_000, attemptMs: 4_000 });
  closing.push(() => void http.close());
  return http.request({ method: "POST", url, service: "Cinder" }).then(
    () => undefined,
    (error: SnapcloneError) => error.parts,
  );
}

test("https where the server speaks plain http", async () => {
  expect(await ask(`https://127.0.0.1:${await listen(plain())}/`)).toMatchObject({
    kind: "config",
    message: expect.stringMatching(
      /^Cinder at 127\.0\.0\.1:\d+ does not speak TLS, and its address begins with https:/,
    ),
    hint: expect.stringContaining("begin with http://"),
  });
});

test("plain http where the server speaks TLS, as far as its answer shows it", async () => {
  const port = await listen(secure({ cert: CERT, key: KEY }));
  const parts = await ask(`http://127.0.0.1:${port}/`);
  expect(`${parts?.message} ${parts?.hint}`).toMatch(/https:\/\//);
  // A handshake alert (RFC 8446 §6), as OpenSSL sends it to what is no handshake.
  const alert = createTcp((socket) => {
    socket.on("error", () => {});
    socket.end(Buffer.from([21, 3, 1, 0, 2, 2, 70]));
  });
  expect(await ask(`http://127.0.0.1:${await listen(alert)}/`)).toMatchObject({
    kind: "config",
    message: expect.stringContaining("speaks TLS, and its address begins with http://"),
  });
  const nginx = createPlain((_request, response) => {
    response.writeHead(400, { "content-type": "text/html" });
    response.end("<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>");
  });
  expect(await ask(`http://127.0.0.1:${await listen(nginx)}/`)).toMatchObject({
    kind: "config",
    message: expect.stringContaining("The plain HTTP request was sent to HTTPS port"),
    hint: expect.stringContaining("begin with https://"),
  });
});

test("a self-signed certificate: untrusted, named as an authority, and not verified", async () => {
  const port = await listen(secure({ cert: CERT, key: KEY }));
  expect(await ask(`https://localhost:${port}/`)).toMatchObject({
    kind: "config",
    message: expect.stringContaining("is not trusted: it is self-signed"),
    hint: expect.stringContaining("Set `cacert` of the connection to that certificate"),
  });
  expect(await ask(`https://localhost:${port}/`, { cacert: CERT })).toBeUndefined();
  expect(await ask(`https://localhost:${port}/`, { insecure: true })).toBeUndefined();
});

test("a certificate for another host: the names that it has, and the address to change", async () => {
  const port = await listen(secure({ cert: CERT, key: KEY }));
  expect(await ask(`https://127.0.0.1:${port}/`, { cacert: CERT })).toMatchObject({
    kind: "config",
    message: expect.stringMatching(/is not for 127\.0\.0\.1, but for DNS:localhost \(/),
    hint: expect.stringContaining("Use the name that the certificate has"),
  });
});

test("an expired certificate", async () => {
  const port = await listen(secure({ cert: EXPIRED, key: EXPIRED_KEY }));
  expect(await ask(`https://localhost:${port}/`, { cacert: AUTHORITY })).toMatchObject({
    kind: "config",
    message: expect.stringContaining("has expired"),
    hint: expect.stringContaining("clock"),
  });
});

test("an authority that is not known", async () => {
  const port = await listen(secure({ cert: OF_AUTHORITY, key: EXPIRED_KEY }));
  expect(await ask(`https://localhost:${port}/`, { cacert: AUTHORITY })).toBeUndefined();
  expect(await ask(`https://localhost:${port}/`)).toMatchObject({
    kind: "config",
    message: expect.stringContaining("is not trusted"),
    hint: expect.stringContaining("`cacert`"),
  });
});

test("REQUESTS_CA_BUNDLE is trusted where the connection says nothing; one that can't be read is named", async () => {
  const folder = mkdtempSync(join(tmpdir(), "snapclone-ca-"));
  closing.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "ca.pem"), CERT);
  const url = `https://localhost:${await listen(secure({ cert: CERT, key: KEY }))}/`;
  expect(await ask(url, {}, { REQUESTS_CA_BUNDLE: join(folder, "ca.pem") })).toBeUndefined();
  expect(await ask(url, { cacert: AUTHORITY }, { REQUESTS_CA_BUNDLE: join(folder, "ca.pem") })).toMatchObject({
    kind: "config",
  });
  expect(await ask(url, {}, { CURL_CA_BUNDLE: join(folder, "none.pem") })).toMatchObject({
    kind: "config",
    message: expect.stringContaining("the environment variable CURL_CA_BUNDLE"),
  });
});

describe("a client certificate", () => {
  const WANTING = { cert: CERT, key: KEY, ca: CERT, requestCert: true, rejectUnauthorized: true };

  test.each([
    ["of a certificate and its key", { cert: CERT, key: KEY }],
    ["of one file with both", { cert: `${CERT}${KEY}` }],
  ])("%s is shown", async (_title, tls) => {
    expect(await ask(`https://localhost:${await listen(secure(WANTING))}/`, { ...tls, cacert: CERT })).toBeUndefined();
  });

  test("that is missing is told as that where the server says so", async () => {
    const nginx = createPlain((_request, response) => {
      response.writeHead(400, { "content-type": "text/html" });
      response.end("<html><head><title>400 No required SSL certificate was sent</title></head></html>");
    });
    expect(await ask(`http://127.0.0.1:${await listen(nginx)}/`)).toMatchObject({
      kind: "config",
      hint: expect.stringContaining("`cert` and `key`"),
    });
    // In TLS 1.2 it is refused before anything is sent.
    const server = secure({ ...WANTING, maxVersion: "TLSv1.2" });
    const parts = await ask(`https://localhost:${await listen(server)}/`, { cacert: CERT });
    expect(parts?.kind).not.toBe("ambiguous");
  });

  test.each([
    ["an encrypted key", { cert: CERT, key: ENCRYPTED_KEY }, /encrypted/],
    ["no key", { cert: CERT }, /no private key in `cert`/],
    ["another's key", { cert: CERT, key: EXPIRED_KEY }, /cannot be used/],
    ["no PEM", { cert: CERT, key: "-----BEGIN PRIVATE KEY-----" }, /cannot be used/],
  ])("with %s is a configuration error", async (_title, tls, message) => {
    const parts = await ask("https://localhost:1/", tls);
    expect(parts).toMatchObject({ kind: "config", message: expect.stringMatching(message) });
  });
});

test.each([
  ["in the TCP connection", 0],
  ["in the TLS handshake", 1],
])("a server that breaks off %s has carried nothing out", async (_title, after) => {
  const server = createTcp((socket) => {
    socket.on("error", () => {});
    if (after === 0) socket.destroy();
    else socket.once("data", () => socket.destroy());
  });
  const parts = await ask(`https://127.0.0.1:${await listen(server)}/`);
  expect(parts).toMatchObject({ kind: "transient", message: expect.stringContaining("Cinder cannot be reached") });
});

test("of a host's two addresses the one that answers is found", async () => {
  // "localhost" is ::1 and 127.0.0.1; only one of them has the server.
  const port = await listen(plain(), "127.0.0.1");
  expect(await ask(`http://localhost:${port}/`)).toBeUndefined();
});
