/** All conversations of the person, kept right by events and fetched again after a gap. */

import type { Conversation, ConversationId, Message, MessageId, UserId } from '@vaxel/client';
import { Heard, Problem } from '@vaxel/client';
import { SvelteMap } from 'svelte/reactivity';
import { i18n } from '../i18n/i18n.svelte.ts';
import { deletions } from './deletions.svelte.ts';
import { outbox } from './outbox.svelte.ts';
import { people } from './people.svelte.ts';
import { client, explain, session } from './session.svelte.ts';
import { Timeline } from './timeline.svelte.ts';
import { toasts } from './toasts.svelte.ts';
import { shell } from './shell.svelte.ts';

const UNREAD_MAX = 100;
/** How long "is writing" stands without a new sign. */
const TYPING_MS = 6_000;

class Chat {
  readonly byId = new SvelteMap<ConversationId, Conversation>();
  /** Plain, since what changes is inside each: a timeline may be made while something is being derived. */
  readonly timelines = new Map<ConversationId, Timeline>();
  readonly typing = new SvelteMap<ConversationId, ReadonlyMap<UserId, number>>();
  loaded = $state(false);
  problem = $state<string | undefined>();
  readonly sorted = $derived(
    [...this.byId.values()].filter((each) => each.joined).sort((a, b) => activity(b) - activity(a)),
  );
  readonly unread = $derived(this.sorted.reduce((sum, each) => sum + (each.unread > 0 ? 1 : 0), 0));
  readonly mentions = $derived(this.sorted.reduce((sum, each) => sum + each.mentions, 0));
  open: ConversationId | undefined;
  readonly #heard = new Heard();

  /** The name a person sees: a direct conversation is called by the other one. */
  name(conversation: Conversation): string {
    if (conversation.name) return conversation.name;
    const others = conversation.members.filter((member) => member !== session.user);
    if (others.length === 0) return session.me?.user.display_name ?? '';
    if (conversation.kind === 'direct') return people.name(others[0] ?? '');
    return i18n.list(others.slice(0, 4).map((member) => people.name(member)));
  }

  other(conversation: Conversation): UserId {
    return conversation.members.find((member) => member !== session.user) ?? session.user;
  }

  timeline(id: ConversationId): Timeline {
    let timeline = this.timelines.get(id);
    if (!timeline) {
      timeline = new Timeline(id);
      this.timelines.set(id, timeline);
    }
    return timeline;
  }

  async fetch(): Promise<void> {
    this.problem = undefined;
    try {
      const found: Conversation[] = [];
      let cursor: string | undefined;
      do {
        const page = await client.call('plugins/chat/conversations.list', cursor === undefined ? { limit: 100 } : { limit: 100, cursor });
        found.push(...page.items);
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      const ids = new Set(found.map((each) => each.id));
      for (const [id, held] of this.byId) if (held.joined && !ids.has(id)) this.byId.delete(id);
      for (const each of found) this.put(each);
      this.loaded = true;
    } catch (error) {
      this.problem = explain(error);
      // Perhaps the plugin was switched off meanwhile: then its place goes away.
      if (Problem.of(error).status === 404) void session.refresh().catch(() => undefined);
    }
  }

  async fetchOne(id: ConversationId): Promise<Conversation> {
    const conversation = await client.call('plugins/chat/conversations.get', { conversation: id });
    this.put(conversation);
    return conversation;
  }

  /** After a gap everything shown may be out of date. */
  async refetch(): Promise<void> {
    for (const timeline of this.timelines.values()) timeline.markStale();
    const open = this.open;
    for (const id of this.timelines.keys()) if (id !== open) this.timelines.delete(id);
    await Promise.all([this.fetch(), open === undefined ? undefined : this.timelines.get(open)?.fetch()]);
    outbox.fetched();
    outbox.flush();
  }

  watch(): void {
    outbox.watch();
    outbox.delivered = (message) => {
      this.timelines.get(message.conversation)?.hold(message);
      this.#noted(message);
    };
    client.on('chat.message.created', ({ message, local_id }) => this.#created(message, local_id ?? undefined));
    client.on('chat.message.edited', ({ message }) => this.replace(message));
    client.on('chat.message.reacted', ({ message }) => this.replace(message));
    client.on('chat.message.deleted', ({ message }) => this.#deleted(message.conversation, message.id));
    client.on('chat.conversation.created', ({ conversation }) => this.#updated(conversation));
    client.on('chat.conversation.updated', ({ conversation }) => this.#updated(conversation));
    client.on('chat.read.updated', (mark) => {
      if (mark.user === session.user) this.#change(mark.conversation, { read_up_to: mark.read_up_to, unread: mark.unread, mentions: mark.mentions });
    });
    client.on('chat.member.changed', ({ conversation, user, change }) => {
      const gone = change === 'left' || change === 'removed';
      if (user === session.user && gone) this.#gone(conversation);
      else void this.fetchOne(conversation).catch(() => undefined);
    });
    client.on('chat.typing', ({ conversation, user }) => this.#typing(conversation, user, Date.now() + TYPING_MS));
    deletions.done = (message) => this.#deleted(message.conversation, message.id);
    session.beforeLeaving = () => deletions.settle();
    addEventListener('pagehide', () => deletions.leave());
  }

  clear(): void {
    this.byId.clear();
    this.timelines.clear();
    this.typing.clear();
    this.#heard.clear();
    this.loaded = false;
  }

  async markRead(id: ConversationId, message: MessageId): Promise<void> {
    const held = this.byId.get(id);
    if (!held?.joined || held.read_up_to === message) return;
    this.#change(id, { read_up_to: message, unread: 0, mentions: 0 });
    await client.call('plugins/chat/conversations.mark_read', { conversation: id, message }).catch(() => undefined);
  }

  async react(message: Message, emoji: string, on: boolean): Promise<void> {
    const me = session.user;
    this.timelines.get(message.conversation)?.patch(message.id, (held) => withReaction(held, emoji, me, on));
    try {
      this.replace((await client.call('plugins/chat/messages.react', { message: message.id, emoji, on })).message);
    } catch (error) {
      this.timelines.get(message.conversation)?.patch(message.id, (held) => withReaction(held, emoji, me, !on));
      toasts.problem(error);
    }
  }

  async edit(message: Message, text: string): Promise<void> {
    const timeline = this.timelines.get(message.conversation);
    timeline?.patch(message.id, (held) => ({ ...held, text }));
    try {
      this.replace((await client.call('plugins/chat/messages.edit', { message: message.id, text })).message);
    } catch (error) {
      timeline?.patch(message.id, (held) => ({ ...held, text: message.text }));
      throw error;
    }
  }

  replace(message: Message): void {
    this.timelines.get(message.conversation)?.patch(message.id, () => message);
    const held = this.byId.get(message.conversation);
    if (held?.last_message?.id === message.id) this.#change(message.conversation, { last_message: message });
  }

  /** An answer may have been overtaken by the event of a newer message: then what came of that stays. */
  put(conversation: Conversation): void {
    const held = this.byId.get(conversation.id);
    const last = held?.last_message;
    const overtaken = last && (!conversation.last_message || this.#heard.isNewer(last, conversation.last_message));
    if (held && overtaken) {
      const { last_message, read_up_to, unread, mentions } = held;
      this.byId.set(conversation.id, { ...conversation, last_message, read_up_to, unread, mentions });
    } else {
      this.byId.set(conversation.id, conversation);
    }
  }

  #created(message: Message, localId: string | undefined): void {
    const mine = message.author === session.user;
    people.met(message.author);
    if (mine && localId) outbox.arrived(localId);
    const timeline = this.timelines.get(message.conversation);
    const isNew = !timeline?.find(message.id);
    // Also while the first page is on its way: it may have been read before this was said.
    timeline?.put(message);
    this.#typing(message.conversation, message.author, 0);
    if (this.#heard.note(message.conversation, message.id)) this.#noted(message);
    if (!mine && isNew && this.open === message.conversation) {
      shell.say(i18n.t.chat.announce(people.name(message.author), message.text));
    }
  }

  /** What the list of conversations shows of a message that is new. */
  #noted(message: Message): void {
    const held = this.byId.get(message.conversation);
    if (!held) {
      void this.fetchOne(message.conversation).catch(() => undefined);
      return;
    }
    const last = held.last_message;
    if (last && (last.id === message.id || !this.#heard.isNewer(message, last))) return;
    this.#change(message.conversation, {
      last_message: message,
      ...(message.author === session.user
        ? { read_up_to: message.id, unread: 0, mentions: 0 }
        : {
            unread: Math.min(UNREAD_MAX, held.unread + 1),
            mentions: held.mentions + (message.mentions.includes(session.user) ? 1 : 0),
          }),
    });
  }

  #updated(conversation: Conversation): void {
    const held = this.byId.get(conversation.id);
    // An event goes to all members alike: what is personal in it is not about this person.
    if (held) {
      const { name, public: open, members, member_count } = conversation;
      this.#change(conversation.id, { name, public: open, members, member_count });
    } else {
      void this.fetchOne(conversation.id).catch(() => undefined);
    }
  }

  #deleted(conversation: ConversationId, id: MessageId): void {
    const gone = (held: Message): Message => ({ ...held, deleted: true, text: '', reactions: [], mentions: [] });
    this.timelines.get(conversation)?.patch(id, gone);
    const last = this.byId.get(conversation)?.last_message;
    if (last?.id === id) this.#change(conversation, { last_message: gone(last) });
    deletions.keep(id);
  }

  #gone(conversation: ConversationId): void {
    this.byId.delete(conversation);
    this.timelines.delete(conversation);
  }

  left(conversation: ConversationId): void {
    this.#gone(conversation);
  }

  #typing(conversation: ConversationId, user: UserId, until: number): void {
    if (user === session.user) return;
    const next = new Map(this.typing.get(conversation));
    if (until === 0 && !next.delete(user)) return;
    if (until > 0) {
      next.set(user, until);
      setTimeout(() => {
        if ((this.typing.get(conversation)?.get(user) ?? Infinity) <= Date.now()) this.#typing(conversation, user, 0);
      }, TYPING_MS + 50);
    }
    this.typing.set(conversation, next);
  }

  #change(id: ConversationId, patch: Partial<Conversation>): void {
    const held = this.byId.get(id);
    if (held) this.byId.set(id, { ...held, ...patch });
  }
}

function activity(conversation: Conversation): number {
  return conversation.last_message?.created_at ?? conversation.created_at;
}

function withReaction(message: Message, emoji: string, user: UserId, on: boolean): Message {
  const rest = message.reactions.map((each) =>
    each.emoji === emoji ? { emoji, users: each.users.filter((id) => id !== user).concat(on ? [user] : []) } : each,
  );
  if (on && !rest.some((each) => each.emoji === emoji)) rest.push({ emoji, users: [user] });
  return { ...message, reactions: rest.filter((each) => each.users.length > 0) };
}

export const chat = new Chat();
