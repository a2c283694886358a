// TLS: the options of Node.js for a connection's settings, and for a failed handshake the setting to change.

import { readFileSync, statSync } from "node:fs";
import { messageOf, registerSecret, SnapcloneError, truncate } from "../errors";
import { codeOf, deepest } from "./nodeErrors";
import type { Environment } from "./proxy";
import type { HttpRequest } from "./request";

export interface TlsSettings {
  /** PEM text or a file's path. `cacert` replaces the built-in authorities, as it does for every OpenStack client. */
  cacert?: string;
  cert?: string;
  key?: string;
  insecure?: boolean;
}

/** Which authorities are trusted, as options of Node.js. */
export function trustOf(tls: TlsSettings, env: Environment): { ca?: string; rejectUnauthorized: boolean } {
  const ca = tls.cacert ? pem(tls.cacert, "cacert") : bundleOf(env);
  return { ...(ca === undefined ? {} : { ca }), rejectUnauthorized: tls.insecure !== true };
}

function pem(pathOrText: string, field: string): string {
  if (pathOrText.includes("-----BEGIN")) {
    if (field === "key") registerSecret(pathOrText);
    return pathOrText;
  }
  try {
    return readFileSync(pathOrText, "utf8");
  } catch (error) {
    const where = /^[A-Z_]+$/.test(field) ? `the environment variable ${field}` : `\`${field}\` of the connection`;
    const message = `${where} names a file that cannot be read: ${error instanceof Error ? error.message : error}`;
    throw new SnapcloneError({ kind: "config", message });
  }
}

/** python-requests trusts the file that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names, unless the settings name another. */
function bundleOf(env: Environment): string | undefined {
  const variable = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].find((name) => env[name]?.trim());
  const file = variable === undefined ? undefined : env[variable]?.trim();
  // Node.js cannot use a folder of certificates, which OpenSSL reads by their hashes.
  if (variable === undefined || file === undefined) return undefined;
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ? undefined : pem(file, variable);
}

/** `cert` may hold the key too, as for every OpenStack client. A key without `cert` is left out. */
export function clientCertificate({ cert, key }: TlsSettings): { cert?: string; key?: string } {
  if (!cert) return {};
  const certText = pem(cert, "cert");
  const keyText = key ? pem(key, "key") : certText;
  const bad = (message: string, hint: string) => new SnapcloneError({ kind: "config", message, hint });
  if (!keyText.includes("PRIVATE KEY")) {
    throw bad(
      `there is no private key in \`${key ? "key" : "cert"}\` of the connection`,
      "Set `key` to the file with the certificate's private key.",
    );
  }
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(keyText)) {
    throw bad(
      "the private key of the client certificate is encrypted, and a run cannot ask for its passphrase",
      "Give the connection a key without a passphrase: openssl pkey -in key.pem -out plain.pem",
    );
  }
  const { createSecureContext } = require("node:tls") as typeof import("node:tls");
  try {
    createSecureContext({ cert: certText, key: keyText });
  } catch (error) {
    throw bad(
      `the client certificate cannot be used: ${messageOf(error)}`,
      "Check that `cert` and `key` of the connection are PEM and belong together.",
    );
  }
  return { cert: certText, key: keyText };
}

/** Why the TLS handshake failed, and the setting to change; undefined for other failures. Nothing was carried out. */
export function explainTls(
  { service, url }: HttpRequest<unknown>,
  error: unknown,
): Pick<SnapcloneError["parts"], "kind" | "message" | "hint"> | undefined {
  const code = codeOf(error);
  const { protocol, hostname, host } = new URL(url);
  const config = (message: string, hint: string) => ({
    kind: "config" as const,
    message: `${message} (${code})`,
    hint,
  });
  const unverified = "`insecure: true` turns verification off, for tests only.";
  if (protocol === "http:" && isTlsAlert(error)) {
    return config(
      `${service} at ${host} speaks TLS, and its address begins with http://`,
      `Let the address begin with https://: ${ADDRESS}.`,
    );
  }
  if (protocol !== "https:") return undefined;
  if (code === "EPROTO" || /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/.test(code)) {
    const plain = /wrong version number|packet length too long|http request/i.test(`${deepest(error)} ${code}`);
    return plain
      ? config(
          `${service} at ${host} does not speak TLS, and its address begins with https://`,
          `If it is plain http on purpose, let the address begin with http://: ${ADDRESS}. Else correct the port.`,
        )
      : config(`${service} and this client agree on no version or cipher of TLS`, "Update the server's TLS.");
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return config(
      `the TLS certificate of ${service} is not for ${hostname}, but for ${namesIn(error)}`,
      `Use the name that the certificate has: ${ADDRESS}. ${unverified}`,
    );
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    const when = code === "CERT_HAS_EXPIRED" ? "has expired" : "is not valid yet";
    return config(
      `the TLS certificate of ${service} ${when}`,
      `Renew it on the server, and check this machine's clock. No setting but \`insecure\` helps: ${unverified}`,
    );
  }
  if (/SELF_SIGNED/.test(code)) {
    const whose = code === "DEPTH_ZERO_SELF_SIGNED_CERT" ? "is self-signed" : "is signed by an authority of its own";
    return config(
      `the TLS certificate of ${service} is not trusted: it ${whose}`,
      `Set \`cacert\` of the connection to ${code === "DEPTH_ZERO_SELF_SIGNED_CERT" ? "that certificate" : "that authority's certificate"}. ${unverified}`,
    );
  }
  if (/ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|CERTIFICATE_)/.test(code)) {
    return config(
      `${service} at ${host} refused this client in the TLS handshake`,
      "It may want a client certificate: set `cert` and `key` of the connection, or correct them.",
    );
  }
  if (/^(CERT_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA)/.test(code)) {
    return config(
      `the TLS certificate of ${service} is not trusted`,
      `Set \`cacert\` of the connection to the authority that signed it. ${unverified}`,
    );
  }
  return undefined;
}

/** Where the address of a service is set. */
export const ADDRESS = "authentication URL or endpoint of the connection, or the service catalogue's entry";

/** A TLS server answers plain text with an alert, which is not HTTP (RFC 8446 §5.1: record type 21, version 3.x). */
function isTlsAlert(error: unknown): boolean {
  const data = String(Reflect.get(Object(error), "data") ?? "");
  return data.startsWith("\x15\x03");
}

/** The names in a certificate of another host: "DNS:a.example, IP Address:10.0.0.1". */
function namesIn(error: unknown): string {
  let at: object = Object(error);
  while (Reflect.get(at, "cert") === undefined && Reflect.get(at, "cause")) at = Object(Reflect.get(at, "cause"));
  const certificate = Object(Reflect.get(at, "cert"));
  const names: unknown = Reflect.get(certificate, "subjectaltname") ?? Reflect.get(Object(certificate.subject), "CN");
  return names === undefined ? "another host" : truncate(String(names), 200);
}
