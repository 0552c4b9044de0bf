/** The messages of one conversation in the order of their commits, fetched backwards in pages. */

import { layOver, type Conversation, type ConversationId, type Gap, type Message, type MessageId } from '@vaxel/client';
import { client, explain } from './session.svelte.ts';

const PAGE = 60;

export class Timeline {
  readonly conversation: ConversationId;
  /** Replaced, never changed in place: ten thousand messages cost one assignment. */
  items = $state.raw<Message[]>([]);
  /** True until the first message of all is here. */
  hasOlder = $state(true);
  loading = $state(false);
  loaded = $state(false);
  problem = $state<string | undefined>();
  #next: MessageId | undefined;
  /** What may have been missed; nothing was fetched since. */
  #gap: Gap | undefined;
  /** Own messages that the server has answered and whose event has not come: at the end of `items`, until it places them. */
  readonly #loose = new Set<MessageId>();

  constructor(conversation: ConversationId) {
    this.conversation = conversation;
  }

  /** The newest page; also after a gap, when what is held may have a hole. */
  async fetch(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    this.problem = undefined;
    const gap = this.#gap;
    const lies = gap ?? { from: this.loaded ? Infinity : 0, since: 0 };
    try {
      const page = await client.call('plugins/chat/messages.list', { conversation: this.conversation, limit: PAGE });
      const fetched = page.items.toReversed().map((message) => this.#latest(message));
      const known = new Set(fetched.map((message) => message.id));
      const loose = this.items.slice(this.#end).filter((message) => !known.has(message.id));
      const { items, joined } = layOver(this.items.slice(0, this.#end), lies, fetched, page.next == null);
      this.items = [...items, ...loose];
      for (const id of known) this.#loose.delete(id);
      if (!joined) {
        this.#next = page.next ?? undefined;
        this.hasOlder = this.#next !== undefined;
      }
      this.loaded = true;
      // A gap that came about meanwhile may have begun after this page was read.
      if (this.#gap === gap) this.#gap = undefined;
    } catch (error) {
      this.problem = explain(error);
    } finally {
      this.loading = false;
    }
    if (this.#gap && !this.problem) await this.fetch();
  }

  async fetchOlder(): Promise<void> {
    if (this.loading || !this.#next) return;
    this.loading = true;
    this.problem = undefined;
    try {
      const params = { conversation: this.conversation, before: this.#next, limit: PAGE };
      const page = await client.call('plugins/chat/messages.list', params);
      const known = new Set(this.items.map((message) => message.id));
      const older = page.items.toReversed().filter((message) => !known.has(message.id));
      this.items = [...older, ...this.items];
      if (this.#gap) this.#gap = { from: this.#gap.from + older.length, since: this.#gap.since + older.length };
      this.#next = page.next ?? undefined;
      this.hasOlder = this.#next !== undefined;
    } catch (error) {
      this.problem = explain(error);
    } finally {
      this.loading = false;
    }
    if (this.#gap && !this.problem) await this.fetch();
  }

  get #end(): number {
    return this.items.length - this.#loose.size;
  }

  /** Something may have been missed: what comes from here on does not join on to what is held. */
  markStale(): void {
    this.#gap = { from: this.#gap?.from ?? this.#end, since: this.#end };
  }

  /** What an event brings stands behind everything that came before; what has the same id is replaced, since events may come twice. */
  put(message: Message): void {
    const items = this.items;
    const end = this.#end;
    const at = items.findLastIndex((held) => held.id === message.id);
    if (at >= 0 && this.#loose.delete(message.id)) {
      this.items = items.toSpliced(at, 1).toSpliced(end, 0, this.#latest(message));
    } else if (at >= 0) {
      this.items = items.with(at, this.#latest(message));
    } else if (!this.loaded || !this.hasOlder || end === 0 || (items[0]?.created_at ?? 0) <= message.created_at) {
      // Otherwise a long replay tells of what belongs to a page that has not been fetched.
      this.items = items.toSpliced(end, 0, message);
    }
  }

  /** An own message that the server has answered: it may have been overtaken by others' whose events are still to come. */
  hold(message: Message): void {
    if (this.find(message.id)) return;
    this.#loose.add(message.id);
    this.items = [...this.items, message];
  }

  /** Changes what is held; what is not held is not made up. */
  patch(id: MessageId, change: (held: Message) => Message): void {
    const at = this.items.findLastIndex((held) => held.id === id);
    const held = this.items[at];
    if (held) this.items = this.items.with(at, change(held));
  }

  /** A late "created" or an answer read before must not undo an edit or a deletion that was already seen. */
  #latest(message: Message): Message {
    const held = this.find(message.id);
    const newer = held && (held.deleted || (held.edited_at ?? 0) > (message.edited_at ?? 0)) && !message.deleted;
    return newer ? held : message;
  }

  find(id: MessageId): Message | undefined {
    return this.items.findLast((held) => held.id === id);
  }

  /** Where reading stopped: the first message not read, as things stood when the conversation was opened. */
  firstUnread(conversation: Conversation, me: string): MessageId | undefined {
    if (conversation.unread === 0) return undefined;
    const readAt = this.items.findLastIndex((message) => message.id === conversation.read_up_to);
    if (readAt >= 0) return this.items.slice(readAt + 1).find((message) => message.author !== me)?.id;
    const others = this.items.filter((message) => message.author !== me);
    return others.at(-Math.min(conversation.unread, others.length))?.id;
  }
}
