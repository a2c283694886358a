// What Keystone shows of its rows. The keys have the order of the recorded answers.

import type {
  ApplicationCredential,
  CatalogueEndpoint,
  CatalogueEntry,
  Domain,
  KeystoneModel,
  Project,
  Token,
} from "./model";
import { expiryColumn } from "./times";

type View = Record<string, unknown>;

const PROJECT_TEMPLATE = "%(project_id)s";

/** exchanges: 'password project scoped', 'system scope', 'app cred by id' */
export function tokenView(model: KeystoneModel, token: Token, catalogue: unknown[] | undefined): View {
  const user = model.users.get(token.userId);
  const project = model.projects.get(token.projectId ?? "");
  const credential = model.applicationCredentials.get(token.applicationCredentialId ?? "");
  const isScoped = project !== undefined || token.system;
  return {
    methods: token.methods,
    user: { domain: domainView(model, user?.domainId), id: token.userId, name: user?.name, password_expires_at: null },
    audit_ids: token.auditIds,
    expires_at: seconds(token.expiresAtMs),
    issued_at: seconds(token.issuedAtMs),
    ...(project
      ? {
          project: { domain: domainView(model, project.domainId), id: project.id, name: project.name },
          is_domain: false,
        }
      : {}),
    ...(isScoped ? { roles: token.roles.map((name) => model.roles.get(name) ?? { id: name, name }) } : {}),
    ...(token.system ? { system: { all: true } } : {}),
    ...(isScoped && catalogue ? { catalog: catalogue } : {}),
    ...(credential
      ? {
          application_credential: {
            id: credential.id,
            name: credential.name,
            restricted: credential.unrestricted !== true,
          },
        }
      : {}),
  };
}

/** A token without a project has no endpoint whose URL contains one (docs/wire/openstack.md#c1). */
export function catalogueView(entries: readonly CatalogueEntry[], { projectId }: Token, origin: string): unknown[] {
  return entries.map(({ id, type, name, endpoints }) => ({
    endpoints: endpoints
      .filter(({ url }) => projectId !== null || !url.includes(PROJECT_TEMPLATE))
      .map((endpoint) => ({
        id: endpoint.id,
        interface: endpoint.interface,
        region_id: endpoint.region,
        url: endpoint.url.replace("{origin}", origin).replace(PROJECT_TEMPLATE, projectId ?? ""),
        region: endpoint.region,
      })),
    id,
    type,
    name,
  }));
}

export function projectView({ id, name, domainId }: Project, base: string): View {
  return {
    id,
    name,
    domain_id: domainId,
    description: "",
    enabled: true,
    parent_id: domainId,
    is_domain: false,
    tags: [],
    options: {},
    links: { self: `${base}/projects/${id}` },
  };
}

/** A list as keystone/server/flask/common.py:640-682 wraps it: all of it at once. */
export function collectionView(name: string, rows: readonly View[], { url }: { readonly url: string }): View {
  return { [name]: rows, links: { next: null, self: url, previous: null } };
}

export function serviceView({ id, type, name }: CatalogueEntry, base: string): View {
  return { name, id, type, enabled: true, links: { self: `${base}/services/${id}` } };
}

export function endpointView(service: CatalogueEntry, endpoint: CatalogueEndpoint, base: string, origin: string): View {
  return {
    id: endpoint.id,
    interface: endpoint.interface,
    region_id: endpoint.region,
    service_id: service.id,
    url: endpoint.url.replace("{origin}", origin),
    enabled: true,
    region: endpoint.region,
    links: { self: `${base}/endpoints/${endpoint.id}` },
  };
}

export function credentialView(model: KeystoneModel, row: ApplicationCredential, base: string): View {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    user_id: row.userId,
    project_id: row.projectId,
    system: null,
    expires_at: row.expiresAt === null ? null : expiryColumn(row.expiresAt),
    unrestricted: row.unrestricted,
    roles: row.roles.map((name) => ({
      id: model.roles.get(name)?.id ?? name,
      name,
      domain_id: null,
      description: null,
      options: { immutable: true },
    })),
    ...(row.accessRules === null ? {} : { access_rules: row.accessRules }),
    links: { self: `${base}/application_credentials/${row.id}` },
  };
}

export function versionView(base: string): View {
  return {
    id: "v3.14",
    status: "stable",
    updated: "2020-04-07T00:00:00Z",
    links: [{ rel: "self", href: `${base}/` }],
    "media-types": [{ base: "application/json", type: "application/vnd.openstack.identity-v3+json" }],
  };
}

function domainView({ domains }: KeystoneModel, id: string | undefined): Domain | null {
  const domain = domains.get(id ?? "");
  return domain === undefined ? null : { id: domain.id, name: domain.name };
}

/** Keystone prints whole seconds with six zeros. */
function seconds(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}.000000Z`;
}
