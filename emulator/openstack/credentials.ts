// OpenStack's login, as Keystone's users have it.

import type { Credentials } from "../core/definition";
import { type KeystoneModel, REGION } from "../keystone/model";

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

export interface OpenStackCredentials extends Credentials<OpenStackConnection> {
  readonly authUrl: string;
}

/** Logs in to the project of the user's own name. The default user is "demo". */
export function openstackCredentials(authUrl: string, keystone: KeystoneModel): OpenStackCredentials {
  const connection = (user = "demo"): OpenStackConnection => ({
    kind: "openstack",
    authUrl,
    username: user,
    password: keystone.userNamed(user).password,
    projectName: user,
    userDomainName: "Default",
    projectDomainName: "Default",
    region: REGION,
  });
  return {
    authUrl,
    connection,
    env: (user) => {
      const { username, password, projectName, userDomainName, projectDomainName, region } = connection(user);
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
