// OpenStack: the login to Keystone, Cinder, Glance and Nova.

import { cinder } from "../cinder";
import { defineService } from "../core/definition";
import { glance } from "../glance";
import { keystone } from "../keystone";
import { nova } from "../nova";
import { openstackCredentials } from "./credentials";

export const openstack = defineService({
  displayName: "OpenStack",
  timings: {},
  model: ({ use }) => ({
    keystone: use(keystone).model,
    cinder: use(cinder).model,
    glance: use(glance).model,
    nova: use(nova).model,
  }),
  credentials: (url, model) => openstackCredentials(`${url}/identity/v3`, model.keystone),
  connections: { default: "demo", admin: "admin" },
});
