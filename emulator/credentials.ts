// How each control plane is signed in to: as a connection of this package, and as the environment variables that its
// other clients know.

import { REGION } from "./keystone/service";

export interface OpenStackConnection {
  kind: "openstack";
  authUrl: string;
  username: string;
  password: string;
  projectName: string;
  userDomainName: string;
  projectDomainName: string;
  region: string;
}

export interface PowerVcConnection extends Omit<OpenStackConnection, "kind"> {
  kind: "powervc";
}

export interface ViprConnection {
  kind: "vipr";
  url: string;
  username: string;
  password: string;
}

export interface ZStackConnection {
  kind: "zstack";
  url: string;
  accountName: string;
  password: string;
}

/** The same login as environment variables and as a connection of this package. */
export interface Credentials<Connection = OpenStackConnection> {
  env(): Record<string, string>;
  connection(): Connection;
}

/** Everything that a server at `url` can be signed in to. */
export interface AllCredentials extends Credentials {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly authUrl: string;
  /** The administrator, scoped to the project "admin". */
  readonly admin: Credentials;
  /** The login of ViPR's root. */
  readonly viprLogin: Credentials<ViprConnection>;
  /** ZStack's administrator. */
  readonly zstackLogin: Credentials<ZStackConnection>;
  /** The login of `demo` at PowerVC, whose volumes are Cinder's. */
  readonly powervcLogin: Credentials<PowerVcConnection>;
}

export function credentialsAt(url: string): AllCredentials {
  const authUrl = `${url}/identity/v3`;
  return {
    url,
    authUrl,
    ...openstackLogin(authUrl, "demo"),
    admin: openstackLogin(authUrl, "admin"),
    viprLogin: viprLogin(url),
    zstackLogin: zstackLogin(url),
    powervcLogin: powervcLogin(url),
  };
}

/** User and project have the same name in the seed data. */
function openstackLogin(authUrl: string, name: string): Credentials {
  const connection = (): OpenStackConnection => ({
    kind: "openstack",
    authUrl,
    username: name,
    password: "secret",
    projectName: name,
    userDomainName: "Default",
    projectDomainName: "Default",
    region: REGION,
  });
  return {
    connection,
    env: () => {
      const { username, password, projectName, userDomainName, projectDomainName, region } = connection();
      return {
        OS_AUTH_URL: authUrl,
        OS_USERNAME: username,
        OS_PASSWORD: password,
        OS_PROJECT_NAME: projectName,
        OS_USER_DOMAIN_NAME: userDomainName,
        OS_PROJECT_DOMAIN_NAME: projectDomainName,
        OS_REGION_NAME: region,
      };
    },
  };
}

/** In front of the same Keystone: IBM's own powervcrc sets OS_* (docs/wire/powervc.md#f3). */
function powervcLogin(url: string): Credentials<PowerVcConnection> {
  const { env, connection } = openstackLogin(`${url}/powervc/openstack/identity/v3`, "demo");
  return { env, connection: () => ({ ...connection(), kind: "powervc" }) };
}

function viprLogin(origin: string): Credentials<ViprConnection> {
  const [url, username, password] = [`${origin}/vipr`, "root", "secret"];
  return {
    connection: () => ({ kind: "vipr", url, username, password }),
    env: () => ({ VIPR_URL: url, VIPR_USERNAME: username, VIPR_PASSWORD: password }),
  };
}

function zstackLogin(url: string): Credentials<ZStackConnection> {
  const [accountName, password] = ["admin", "password"];
  return {
    connection: () => ({ kind: "zstack", url, accountName, password }),
    env: () => ({ ZSTACK_URL: url, ZSTACK_ACCOUNT_NAME: accountName, ZSTACK_ACCOUNT_PASSWORD: password }),
  };
}
