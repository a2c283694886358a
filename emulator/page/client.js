// The program of the page: asks the control API once a second, and brings the page's rows into line. All text of the
// emulator gets in as text nodes, never as HTML: the names of objects are foreign.

/** @typedef {Record<string, unknown>} Row */
/** @typedef {{ number: number, at: string, method: string, path: string, service: string, operation: string, status: number, body?: unknown, fault?: string }} LogEntry */
/** @typedef {{ id: string, match: Row, seen: number, hits: number } & Row} Rule */
/** @typedef {{ clock: { mode: string | { scale: number }, now: string }, services: Record<string, Row>, faults: Rule[] }} State */
/** @typedef {{ requests: LogEntry[], matched: number, total: number }} Log */

const API = "/_emulator";
const INTERVAL_MS = 1000;
const SHOWN_REQUESTS = 200;
/** How long a changed cell stays highlighted, and a removed row visible. */
const HIGHLIGHT_MS = 2000;

let refreshing = false;

async function refresh() {
  if (refreshing) return;
  refreshing = true;
  try {
    const query = new URLSearchParams({ last: String(SHOWN_REQUESTS), ...filled("filters") });
    const [state, log] = await Promise.all([
      /** @type {Promise<State>} */ (call("GET", "/state")),
      /** @type {Promise<Log>} */ (call("GET", `/requests?${query}`)),
    ]);
    showClock(state.clock);
    showServices(state.services);
    showRules(state.faults);
    showRequests(log);
    setText(element("connection"), "live, updated each second");
  } catch (error) {
    setText(element("connection"), `no answer from the emulator (${messageOf(error)}); trying again`);
  } finally {
    refreshing = false;
  }
}

/** @param {string} method @param {string} path @param {object} [body] @returns {Promise<unknown>} */
async function call(method, path, body) {
  const reply = await fetch(API + path, {
    method,
    cache: "no-store",
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(typeof answer.error === "string" ? answer.error : `status ${reply.status}`);
  return answer;
}

/** Does what a button says, then shows the result at once. @param {() => Promise<unknown>} action */
async function act(action) {
  const message = element("message");
  try {
    await action();
    message.hidden = true;
  } catch (error) {
    message.hidden = false;
    message.textContent = `The emulator refuses: ${messageOf(error)}`;
  }
  await refresh();
}

// The clock

/** @param {State["clock"]} clock */
function showClock({ mode, now }) {
  setText(element("now"), `${now.slice(0, 10)} ${now.slice(11, 19)} UTC`);
  element("now").setAttribute("datetime", now);
  setText(element("mode"), typeof mode === "object" ? `${mode.scale} times as fast` : mode);
}

// The objects

/** Services whose rows are there before anybody does anything. */
const CLOSED = ["keystone"];

/** @param {State["services"]} services */
function showServices(services) {
  const parts = Object.entries(services).map(([key, state]) => ({ key, state }));
  reconcile(element("services"), parts, createService, updateService);
}

/** @param {{ key: string }} service */
function createService({ key }) {
  const details = create("details", { class: "service" }, create("summary", {}), create("div", { class: "rows" }));
  details.toggleAttribute("open", !CLOSED.includes(key));
  return details;
}

/** @param {Element} details @param {{ key: string, state: Row }} service */
function updateService(details, { key, state }) {
  const tables = Object.entries(state).flatMap(([name, value]) => {
    const rows = rowsOf(value);
    return rows === undefined ? [] : [{ key: name, rows }];
  });
  const counts = [
    ...tables.filter(({ rows }) => rows.length > 0).map((table) => `${table.key} ${table.rows.length}`),
    ...Object.entries(state).flatMap(([name, value]) => (typeof value === "number" ? [`${name} ${value}`] : [])),
  ];
  setText(part(details, "summary"), `${key}: ${spaced(counts.join(", ")) || "nothing"}`);
  reconcile(part(details, ".rows"), tables, createTable, updateTable);
}

/** Lists, and what the state keeps by id, as rows. @param {unknown} value @returns {Row[] | undefined} */
function rowsOf(value) {
  if (Array.isArray(value)) return value.map((item) => (isRow(item) ? item : { text: item }));
  if (isRow(value)) return Object.entries(value).map(([id, item]) => ({ id, ...(isRow(item) ? item : { item }) }));
  return undefined;
}

/** @param {{ key: string }} table */
function createTable({ key }) {
  const heads = ["Name", "Id", "State", "All fields"].map((text) =>
    create("th", { scope: "col", class: text === "Id" ? "wide-only" : "" }, text),
  );
  const table = create(
    "table",
    {},
    create("caption", {}, spaced(key)),
    create("thead", {}, create("tr", {}, ...heads)),
    create("tbody", {}),
  );
  return create("section", { class: "scroll", tabindex: "0", "aria-label": `Table of ${key}` }, table);
}

/** @param {Element} region @param {{ key: string, rows: Row[] }} table */
function updateTable(region, { rows }) {
  const keyed = rows.map((row, index) => ({ key: String(row.id ?? row.uuid ?? `row ${index + 1}`), row }));
  reconcile(part(region, "tbody"), keyed, createObject, updateObject, HIGHLIGHT_MS);
}

function createObject() {
  return create(
    "tr",
    {},
    create("td", { class: "name" }),
    create("td", { class: "id wide-only" }),
    create("td", {}, create("span", { class: "status" })),
    create("td", {}, create("details", {}, create("summary", {}, "show"), create("pre", {}))),
  );
}

/** @param {Element} line @param {{ key: string, row: Row }} object */
function updateObject(line, { key, row }) {
  const status = statusOf(row);
  const badge = part(line, ".status");
  setText(part(line, ".name"), String(nameOf(row)));
  setText(part(line, ".id"), shortened(key));
  part(line, ".id").setAttribute("title", key);
  if (setText(badge, status)) highlight(badge.parentElement);
  badge.className = `status ${colourOf(status)}`;
  setText(part(line, "pre"), JSON.stringify(row, null, 2));
  part(line, "summary").setAttribute("aria-label", `All fields of ${nameOf(row)}`);
}

/** @param {Row} row */
function nameOf(row) {
  return (
    row.name ?? row.label ?? row.displayName ?? row.operation ?? row.tag ?? row.text ?? row.event_id ?? row.type ?? "–"
  );
}

/** @param {Row} row */
function statusOf(row) {
  const status = row.status ?? row.state ?? row.vm_state;
  const progress = typeof row.progress === "string" && row.progress !== "100%" ? ` ${row.progress}` : "";
  if (typeof status === "string") return `${status}${progress}`;
  if (typeof row.inactive === "boolean") return row.inactive ? "inactive" : "active";
  return "";
}

/** @param {string} status */
function colourOf(status) {
  if (/error|fail|inactive/i.test(status)) return "bad";
  if (/^(available|active|in-use|ready|running|enabled|done|success)/i.test(status)) return "good";
  return /ing\b|pending|queued|suspended/i.test(status) ? "busy" : "";
}

// The fault rules

/** @param {Rule[]} rules */
function showRules(rules) {
  reconcile(
    element("fault-rows"),
    rules.map((rule) => ({ key: rule.id, rule })),
    createRule,
    updateRule,
  );
  element("no-faults").hidden = rules.length > 0;
}

/** @param {{ key: string }} rule */
function createRule({ key }) {
  const button = create("button", { type: "button", "aria-label": `Remove ${key}` }, "Remove");
  button.addEventListener("click", () => void act(() => call("DELETE", `/faults/${encodeURIComponent(key)}`)));
  const cells = ["id", "match path", "failure path", "hits"].map((name) => create("td", { class: name }));
  return create("tr", {}, ...cells, create("td", {}, button));
}

/** @param {Element} line @param {{ rule: Rule }} shown */
function updateRule(line, { rule: { id, match, seen, hits, times, ...failure } }) {
  setText(part(line, ".id"), id);
  setText(part(line, ".match"), fieldsOf(match) || "all");
  setText(part(line, ".failure"), fieldsOf(failure) || "none");
  if (setText(part(line, ".hits"), `${hits} of ${times === "Infinity" ? "all" : (times ?? 1)}, ${seen} matched`))
    highlight(part(line, ".hits"));
}

/** @param {Row} row */
function fieldsOf(row) {
  return Object.entries(row)
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");
}

/** @param {SubmitEvent} event */
function addRule(event) {
  event.preventDefault();
  const { service, operation, method, nth, times, status, delayMs, ...texts } = filled("add-fault");
  const numbers = Object.entries({ times, status, delayMs }).filter(([, text]) => text !== undefined);
  const rule = {
    match: { service, operation, method, ...(nth === undefined ? {} : { nth: Number(nth) }) },
    ...texts,
    ...Object.fromEntries(numbers.map(([name, text]) => [name, Number(text)])),
  };
  void act(() => call("POST", "/faults", rule));
}

// The requests

/** @param {Log} log */
function showRequests({ requests, matched, total }) {
  const keyed = requests.map((entry) => ({ key: String(entry.number), entry })).reverse();
  reconcile(element("request-rows"), keyed, createRequest, updateRequest);
  const newest = matched > requests.length ? `, the newest ${requests.length} shown` : "";
  setText(element("request-count"), `${matched} of ${total} requests${newest}`);
}

/** @param {{ entry: LogEntry }} shown */
function createRequest({ entry }) {
  const { at, method, path, service, operation, body } = entry;
  const request = create("td", { class: "path" }, create("code", {}, `${method} ${path}`));
  if (body !== undefined) {
    const text = JSON.stringify(body, null, 2);
    request.append(create("details", {}, create("summary", {}, "body"), create("pre", {}, text)));
  }
  return create(
    "tr",
    {},
    create("td", { class: "time", title: at }, at.slice(11, 23)),
    create("td", {}, create("span", { class: "status" }), create("div", { class: "fault id" })),
    create("td", { class: "operation" }, operation, create("div", { class: "none" }, service)),
    request,
  );
}

/** @param {Element} line @param {{ entry: LogEntry }} shown */
function updateRequest(line, { entry: { status, fault } }) {
  const badge = part(line, ".status");
  setText(badge, status === 0 ? "no answer" : String(status));
  badge.className = `status ${status === 0 || status >= 500 ? "bad" : status >= 400 ? "busy" : "good"}`;
  setText(part(line, ".fault"), fault ?? "");
}

// The forms

/** The fields of a form that have a value. @param {string} id @returns {Record<string, string>} */
function filled(id) {
  const entries = [...new FormData(/** @type {HTMLFormElement} */ (element(id)))];
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === "" ? [] : [[name, String(value)]])));
}

async function fillSelects() {
  const { operations, faultActions } =
    /** @type {{ operations: { service: string, operation: string }[], faultActions: string[] }} */ (
      await call("GET", "/coverage")
    );
  const services = unique(operations.map(({ service }) => service));
  offer("#filters [name=service]", services);
  offer("#add-fault [name=service]", services);
  offer("#add-fault [name=action]", faultActions);
  const ofService = part(document, "#add-fault [name=service]");
  const offerOperations = () => {
    const { service } = filled("add-fault");
    const fitting = operations.filter((one) => service === undefined || one.service === service);
    offer("#add-fault [name=operation]", unique(fitting.map(({ operation }) => operation)));
  };
  ofService.addEventListener("change", offerOperations);
  offerOperations();
}

/** Keeps the first option, which stands for all. @param {string} selector @param {string[]} values */
function offer(selector, values) {
  const select = part(document, selector);
  const [first] = select.children;
  select.replaceChildren(...(first ? [first] : []), ...values.map((value) => create("option", { value }, value)));
}

function listen() {
  element("filters").addEventListener("input", () => void refresh());
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  element("add-fault").addEventListener("submit", addRule);
  element("tick").addEventListener("submit", (event) => {
    event.preventDefault();
    const amount = /** @type {HTMLInputElement} */ (element("tick-amount")).valueAsNumber;
    const unit = Number(/** @type {HTMLSelectElement} */ (element("tick-unit")).value);
    void act(() => call("POST", "/tick", { ms: amount * unit }));
  });
  element("clear-requests").addEventListener("click", () => void act(() => call("DELETE", "/requests")));
  element("clear-faults").addEventListener("click", () => void act(() => call("DELETE", "/faults")));
  element("reset").addEventListener("click", () => {
    if (confirm("Restore the start? All objects, rules and requests are lost.")) void act(() => call("POST", "/reset"));
  });
  document.addEventListener("visibilitychange", () => void (document.hidden ? undefined : refresh()));
}

// The document

/**
 * Makes the children of `parent` those of `items`, by key: what stays keeps its element, so that an opened detail stays
 * open and the focus stays where it is.
 *
 * @template {{ key: string }} Item
 * @param {Element} parent @param {Item[]} items @param {(item: Item) => Element} make
 * @param {(child: Element, item: Item) => void} update @param {number} [lingerMs]
 */
function reconcile(parent, items, make, update, lingerMs = 0) {
  const known = new Map([...parent.children].map((child) => [child.getAttribute("data-key"), child]));
  let before = parent.firstElementChild;
  for (const item of items) {
    let child = known.get(item.key);
    known.delete(item.key);
    if (child === undefined) {
      child = make(item);
      child.setAttribute("data-key", item.key);
    }
    child.classList.remove("gone");
    while (before !== null && known.has(before.getAttribute("data-key"))) before = before.nextElementSibling;
    if (child === before) before = before.nextElementSibling;
    else parent.insertBefore(child, before);
    update(child, item);
  }
  for (const child of known.values()) remove(child, lingerMs);
}

/** @param {Element} child @param {number} lingerMs */
function remove(child, lingerMs) {
  if (lingerMs === 0) child.remove();
  else if (!child.classList.contains("gone")) {
    child.classList.add("gone");
    setTimeout(() => void (child.classList.contains("gone") ? child.remove() : undefined), lingerMs);
  }
}

/** @param {Element | null} cell */
function highlight(cell) {
  cell?.classList.add("changed");
  setTimeout(() => cell?.classList.remove("changed"), HIGHLIGHT_MS);
}

/** Whether a text was replaced by another. @param {Element} target @param {string} text */
function setText(target, text) {
  const before = target.textContent;
  if (before === text) return false;
  target.textContent = text;
  return before !== "";
}

/** @param {string} name @param {Record<string, string>} attributes @param {(Node | string)[]} children */
function create(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

/** @param {ParentNode} parent @param {string} selector */
function part(parent, selector) {
  const found = parent.querySelector(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
}

/** @param {unknown} value @returns {value is Row} */
function isRow(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {string[]} values */
function unique(values) {
  return [...new Set(values)].sort();
}

/** `applicationCredentials` → `application credentials` @param {string} name */
function spaced(name) {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** The beginning of a UUID or the end of a URN's UUID. @param {string} id */
function shortened(id) {
  const [, uuid = id] = /:([0-9a-f-]{36}):/.exec(id) ?? [];
  return uuid.length > 16 ? `${uuid.slice(0, 8)}…` : uuid;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

listen();
void fillSelects().catch(() => undefined);
void refresh();
setInterval(() => {
  if (!document.hidden) void refresh();
}, INTERVAL_MS);
