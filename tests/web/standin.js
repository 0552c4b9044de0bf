// Answers about plugins, made up, for what no server can be brought to on demand: every state at once, a week of use, an
// answer that does not come. Everything else goes to the real server behind. What is to be proved of the server is not
// proved with this; see plugins.test.js.

const asks = [
  { id: "storage", kind: "capability", reason: "Keeps tickets, comments and who is on duty", details: [], required: true, granted: true },
  { id: "events", kind: "capability", reason: "Shows a new ticket to everybody on duty at once", details: [], required: true, granted: true },
  { id: "identity", kind: "capability", reason: "Shows who reported and who took a ticket", details: [], required: true, granted: true },
  { id: "config", kind: "capability", reason: "Reads opening hours and the address of your ticket system", details: [], required: true, granted: true },
  { id: "http", kind: "capability", reason: "Copies tickets to the ticket system that you already have", details: ["api.arenden.example", "*.helpdesk.example"], required: false, granted: true },
  { id: "interop", kind: "capability", reason: "Posts a ticket as a message in the channel on duty", details: ["chat/messages.send", "chat/conversations.list"], required: false, granted: false },
  { id: "schedule", kind: "capability", reason: "Reminds of tickets that nobody has taken", details: [], required: false, granted: true },
  { id: "events:chat.message.created", kind: "events", reason: "Makes a ticket of a message that begins with !ticket", details: [], required: false, granted: false },
  { id: "before:chat/messages.send", kind: "hook_before", reason: "Stops personal numbers before they are sent", details: [], required: false, granted: false },
  { id: "http-in", kind: "http_in", reason: "Takes in tickets from the web form of the municipality", details: [], required: false, granted: false },
];

const settings = {
  schema: {
    type: "object",
    required: ["queue", "limit"],
    properties: {
      queue: { type: "string", title: "Name of the queue", description: "What people see above their tickets.", minLength: 2, maxLength: 40 },
      address: { type: "string", title: "Address of the ticket system", format: "uri", maxLength: 120 },
      limit: { type: "integer", title: "Tickets per person", description: "More than these wait.", minimum: 1, maximum: 50, default: 10 },
      weight: { type: "number", title: "Weight of urgent tickets", default: 1.5 },
      language: { title: "Language of the mails", enum: ["Svenska", "English", "Suomi"] },
      open: { type: "boolean", title: "Take tickets outside opening hours", description: "They are answered on the next working day." },
      words: { type: "array", items: { type: "string", maxLength: 20 }, title: "Words that make a ticket urgent", maxItems: 5, uniqueItems: true },
    },
  },
  values: { queue: "Felanmälan", limit: 12, open: true, words: ["akut", "vatten"], language: "Svenska" },
};

export function arenden() {
  return {
    id: "arenden",
    name: "Ärenden",
    summary: "Felanmälningar från personal och invånare, till den som har jour",
    version: "1.4.0",
    publisher: "Nordtjänst AB",
    enabled: true,
    state: "waiting",
    needs_consent: false,
    asks: structuredClone(asks),
    update: {
      version: "2.0.0",
      waits_for_consent: true,
      asks: [
        ...structuredClone(asks.filter((ask) => !["schedule", "http", "before:chat/messages.send"].includes(ask.id))).map((ask) => ({ ...ask, added_details: [], is_new: false })),
        { ...asks[4], details: ["api.arenden.example", "maps.example"], added_details: ["maps.example"], is_new: false },
        { id: "blobs", kind: "capability", reason: "Keeps photos of what is broken", details: [], required: true, granted: false, added_details: [], is_new: true },
        { id: "step-up", kind: "capability", reason: "Lets only whoever shows BankID close a ticket about money", details: [], required: false, granted: false, added_details: [], is_new: true },
      ],
    },
    former: "1.3.2",
    rollout: { version: "2.0.0", state: "running", reason: null },
    permissions: [
      { name: "arenden.report", summary: "Report something", roles: ["member"] },
      { name: "arenden.duty", summary: "Take and close tickets", roles: [] },
      { name: "arenden.admin", summary: "Delete tickets", roles: ["admin"] },
    ],
    pages: [
      { name: "tickets", title: "Ärenden", public: false, navigation: true },
      { name: "form", title: "Gör en felanmälan", public: true, navigation: false },
    ],
    jobs: [
      { name: "remind", summary: "Reminds of tickets nobody has taken", every: "0 8 * * 1-5" },
      { name: "copy", summary: "Copies to the ticket system", every: null },
    ],
    settings: structuredClone(settings),
    connections: [
      { name: "helpdesk", title: "Helpdesk API", kind: "api_key", per_user: false, hosts: ["api.arenden.example"], state: "missing" },
      { name: "calendar", title: "Jourkalendern", kind: "oauth2", per_user: true, hosts: ["cal.helpdesk.example"], state: "expired" },
      { name: "archive", title: "Arkivet", kind: "basic", per_user: false, hosts: ["arkiv.helpdesk.example"], state: "connected" },
    ],
    has_data: true,
    unavailable: null,
  };
}

const other = (id, name, more) => ({ ...arenden(), id, name, enabled: false, state: "off", update: null, former: null, rollout: null, settings: null, connections: [], ...more });

export function world() {
  const plugins = [
    arenden(),
    other("enkater", "Enkäter", { version: "0.9.1", summary: "Frågor till många, svar som ingen kan spåra", publisher: null, asks: structuredClone(asks).map((ask) => ({ ...ask, granted: false })) }),
    other("bokning", "Bokning", { summary: "Rum och bilar", enabled: true, state: "resting" }),
    other("schema", "Schema", { summary: "Vem som arbetar när", enabled: true, state: "suspended", rollout: { version: "1.5.0", state: "stopped", reason: "one call in ten failed" }, former: "1.3.2" }),
    other("dokument", "Dokument", { summary: "Gemensamma anteckningar", enabled: true, state: "migrating" }),
    other("gammal", "Gammal", { summary: "Från förr", state: "unavailable", unavailable: "its publisher is no longer trusted" }),
  ];
  const day = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  const letters = [
    { id: "1", kind: "job", name: "remind", attempts: 8, error: "unavailable: the mail server did not answer within 10 s", at: Date.now() - 3_600_000 },
    { id: "2", kind: "hook-after", name: "chat/messages.send", attempts: 8, error: "trap: out of memory", at: Date.now() - 90_000_000 },
  ];
  const find = ({ plugin }) => plugins.find((each) => each.id === plugin) ?? fail(404, "unknown_plugin", "There is no such plugin.");
  const grant = (plugin, ids) => plugin.asks.forEach((ask) => (ask.granted = ids ? ids.includes(ask.id) : true));
  return {
    plugins,
    "plugins/list": () => ({ items: plugins.map(({ id, version, name, summary, enabled, needs_consent, unavailable, state }) => ({ id, version, name, summary, enabled, needs_consent, state, ...(unavailable ? { unavailable } : {}) })) }),
    "plugins/get": (params) => structuredClone(find(params)),
    "plugins/enable": (params) => {
      const plugin = find(params);
      grant(plugin, params.grants);
      Object.assign(plugin, { enabled: true, state: "on", needs_consent: false });
      return {};
    },
    "plugins/disable": (params) => (Object.assign(find(params), { enabled: false, state: "off" }), {}),
    "plugins/grant": (params) => (grant(find(params), params.grants), {}),
    "plugins/upgrade": (params) => {
      const plugin = find(params);
      const { update } = plugin;
      const former = plugin.version;
      if (update) plugin.asks = update.asks.map(({ added_details, is_new, ...ask }) => ask);
      grant(plugin, params.grants);
      Object.assign(plugin, { version: params.version, former, update: null, state: "on" });
      return {};
    },
    "plugins/rollback": (params) => {
      const plugin = find(params);
      Object.assign(plugin, { version: plugin.former, former: null, update: null, state: "on" });
      return {};
    },
    "plugins/connections": (params) => ({ items: (find(params).connections ?? []).filter((each) => each.per_user) }),
    "plugins/uninstall": (params) => (Object.assign(find(params), { enabled: false, state: "off" }), grant(find(params), []), {}),
    "plugins/set_settings": (params) => {
      if (params.values.queue === "Fel") fail(422, "invalid_settings", "/values/queue: this queue is used by another plugin");
      find(params).settings.values = params.values;
      return {};
    },
    "plugins/connect": (params) => {
      const connection = find(params).connections.find((each) => each.name === params.connection);
      if (connection.kind === "oauth2") return { url: "about:blank" };
      connection.state = "connected";
      return {};
    },
    "plugins/disconnect": (params) => (Object.assign(find(params).connections.find((each) => each.name === params.connection), { state: "missing" }), {}),
    "plugins/use": ({ plugin, days }) => ({
      items: plugin === "enkater" ? [] : Array.from({ length: days }, (_, back) => days - 1 - back).filter((back) => back % 6 !== 5).map((back) => ({ plugin, day: day(back), calls: 1200 - back * 31 + (back % 3) * 400, faults: back === 2 ? 41 : 0, refusals: back % 4, processor_ms: 8200 - back * 200 + (back % 3) * 3000, memory_bytes_max: 6_400_000 + back * 130_000, stored_bytes: 48_000_000 - back * 400_000, uses: { storage: 5210 - back * 100, events: 310, http: 42, identity: 900 } })),
    }),
    "plugins/would_touch": () => ({ days: 7, events_replayed: 1204, calls_seen: 312, items: [{ ask: "events:chat.message.created", uses: 1204, details: [] }, { ask: "storage", uses: 3811, details: [] }, { ask: "http", uses: 12, details: ["api.arenden.example"] }], unused: ["interop", "http-in", "schedule"], problems: [] }),
    "plugins/health": () => ({ ok: true, text: "14 öppna ärenden, senaste kopiering kl. 08:12" }),
    "plugins/dead_letters": () => ({ items: letters }),
    "plugins/retry_dead_letter": ({ id }) => (letters.splice(letters.findIndex((each) => each.id === id), 1), {}),
    "plugins/discard_dead_letter": ({ id }) => (letters.splice(letters.findIndex((each) => each.id === id), 1), {}),
  };
}

function fail(status, code, detail) {
  throw Object.assign(new Error(detail), { problem: { status, code, detail, title: detail, type: "about:blank" } });
}

/** Puts itself between a page and its server. */
export async function stand(page, answers) {
  const answer = async (method, params) => {
    try {
      return { result: await answers[method](params ?? {}) };
    } catch (error) {
      if (!error.problem) throw error;
      return { error: error.problem };
    }
  };
  const lines = new Set();
  await page.routeWebSocket(/\/api\/v1\/socket/, (socket) => {
    const server = socket.connectToServer();
    lines.add(socket);
    socket.onMessage(async (text) => {
      const frame = JSON.parse(text);
      if (!answers[frame.method]) return server.send(text);
      const { result, error } = await answer(frame.method, frame.params);
      socket.send(JSON.stringify(error ? { type: "error", id: frame.id, error } : { type: "result", id: frame.id, result }));
    });
  });
  await page.route(/\/api\/v1\/plugins\//, async (route) => {
    const method = new URL(route.request().url()).pathname.replace("/api/v1/", "");
    if (!answers[method]) return route.fallback();
    const { result, error } = await answer(method, route.request().postDataJSON());
    await route.fulfill({ status: error?.status ?? 200, contentType: error ? "application/problem+json" : "application/json", body: JSON.stringify(error ?? result) });
  });
  return {
    /** Tells the page of something. */
    tell: (topic, data) => lines.forEach((socket) => socket.send(JSON.stringify({ type: "event", topic, data }))),
  };
}
