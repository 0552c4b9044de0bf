// A client that has much in memory: the demo's own list, and behind it as much as somebody has who never throws anything away.

import { call, openConversation, row, signIn } from "./screens.js";

export const CONVERSATIONS = 500;
export const MESSAGES = 10_000;

/** Signs anna in with all of it in memory; she stands in `other`, `own` is the long conversation, `line` brings events. */
export async function crowd(page, server) {
  const acme = server.url("acme");
  const [own] = (await call(server, "acme", "anna", "plugins/chat/conversations.list", { limit: 1 })).items;
  const other = await call(server, "acme", "anna", "plugins/chat/conversations.create", { kind: "group", name: "Den andra", members: own.members });
  const line = await fillConversations(page, server, own);
  await signIn(page, acme, "anna");
  await openConversation(page, acme, own.id);
  await page.getByTestId("message").last().waitFor();
  // It stays in memory when another one is opened; there it grows without being drawn.
  const open = (conversation) => row(page, conversation.id).click();
  const leave = async () => {
    await open(other);
    await page.getByTestId("conversation-name").filter({ hasText: "Den andra" }).waitFor();
  };
  const enter = async () => {
    await open(own);
    await page.getByText(`Meddelande ${MESSAGES}`, { exact: true }).last().waitFor();
  };
  await leave();
  line.send(manyMessages(own, MESSAGES));
  // Each frame goes through the debugger, which takes its time.
  await page.getByText(`Meddelande ${MESSAGES}`).first().waitFor({ timeout: 200_000 });
  return { own, line, enter, leave };
}

/** `send` brings messages as the server's events would. */
async function fillConversations(page, server, model) {
  let line;
  const held = await call(server, "acme", "anna", "plugins/chat/conversations.list", { limit: 100 });
  const missing = CONVERSATIONS - held.items.length;
  const made = Array.from({ length: missing }, (_, at) => ({
    ...model,
    id: `cnv_${String(at).padStart(32, "0")}`,
    name: `Samtal ${at}`,
    unread: at % 7,
    mentions: 0,
    created_at: model.created_at - at,
    last_message: { ...model.last_message, id: `msg_${String(at).padStart(32, "0")}`, created_at: model.created_at - at },
  }));
  const list = { items: [...held.items, ...made] };
  await page.route("**/api/v1/plugins/chat/conversations.list", (route) => route.fulfill({ json: list }));
  await page.routeWebSocket(/\/api\/v1\/socket$/, (socket) => {
    line = socket;
    const real = socket.connectToServer();
    socket.onMessage((text) => {
      const frame = JSON.parse(text);
      if (frame.method === "plugins/chat/conversations.list") socket.send(JSON.stringify({ type: "result", id: frame.id, result: list }));
      else real.send(text);
    });
  });
  return {
    send(messages) {
      for (const each of messages) line.send(JSON.stringify({ type: "event", topic: "chat.message.created", data: { message: each } }));
    },
  };
}

function manyMessages(conversation, count) {
  const begin = Date.now();
  return Array.from({ length: count }, (_, at) => message(conversation, String(at), `Meddelande ${at + 1}`, begin + at));
}

export function message(conversation, name, text, createdAt) {
  return {
    id: `msg_made_${name}`,
    conversation: conversation.id,
    author: conversation.members.find((member) => member !== conversation.created_by) ?? conversation.created_by,
    text,
    created_at: createdAt,
    edited_at: null,
    deleted: false,
    reply_to: null,
    mentions: [],
    reactions: [],
  };
}
