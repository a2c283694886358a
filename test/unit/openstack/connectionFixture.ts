// Sources of a connection to OpenStack, as the tests give them to the resolver.

import { isKind, type SnapcloneError } from "../../../provider/core/errors";
import { type Case, removePlaces, resolveCase } from "./fixture";

afterAll(removePlaces);

export const stack = {
  authUrl: "https://keystone.example:5000",
  username: "ann",
  password: "s3cret-of-ann",
  userDomainName: "Default",
  projectName: "prod",
  projectDomainName: "Default",
};

export const environment = {
  OS_AUTH_URL: "https://env.example:5000",
  OS_USERNAME: "eve",
  OS_PASSWORD: "s3cret-of-eve",
  OS_USER_DOMAIN_NAME: "Default",
  OS_PROJECT_ID: "1234",
};

export function failure(given: Case): SnapcloneError {
  try {
    resolveCase(given);
  } catch (error) {
    if (isKind(error, "config")) return error;
    throw error;
  }
  throw new Error("resolved, and should not have");
}
