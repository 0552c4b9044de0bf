/** The messages of one conversation, oldest first, fetched backwards in pages. */

import type { Conversation, ConversationId, Message, MessageId } from '@vaxel/client';
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
  #stale = false;

  constructor(conversation: ConversationId) {
    this.conversation = conversation;
  }

  /** The newest page; also after a gap, when what is held may have a hole. */
  async fetch(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    this.problem = undefined;
    try {
      const page = await client.call('plugins/chat/messages.list', { conversation: this.conversation, limit: PAGE });
      const fetched = page.items.toReversed();
      const first = fetched[0];
      const overlaps = first !== undefined && this.items.some((held) => held.id === first.id);
      if (this.loaded && (overlaps || !this.#stale)) {
        for (const message of fetched) this.put(message);
      } else {
        // What arrived by event while the page was on its way is newer than the page.
        const known = new Set(fetched.map((message) => message.id));
        const last = fetched.at(-1);
        const newer = this.items.filter((held) => !known.has(held.id) && (!last || held.created_at >= last.created_at));
        this.items = [...fetched, ...newer];
        this.#next = page.next ?? undefined;
        this.hasOlder = this.#next !== undefined;
      }
      this.loaded = true;
      this.#stale = false;
    } catch (error) {
      this.problem = explain(error);
    } finally {
      this.loading = false;
    }
  }

  async fetchOlder(): Promise<void> {
    if (this.loading || !this.#next) return;
    this.loading = true;
    this.problem = undefined;
    try {
      const params = { conversation: this.conversation, before: this.#next, limit: PAGE };
      const page = await client.call('plugins/chat/messages.list', params);
      const known = new Set(this.items.map((message) => message.id));
      this.items = [...page.items.toReversed().filter((message) => !known.has(message.id)), ...this.items];
      this.#next = page.next ?? undefined;
      this.hasOlder = this.#next !== undefined;
    } catch (error) {
      this.problem = explain(error);
    } finally {
      this.loading = false;
    }
  }

  markStale(): void {
    this.#stale = true;
  }

  /** Adds, or replaces what has the same id: events may come twice, and in any order. */
  put(message: Message): void {
    const items = this.items;
    const at = items.findLastIndex((held) => held.id === message.id);
    if (at >= 0) {
      const held = items[at];
      // A late "created" must not undo an edit or a deletion that was already seen.
      if (held && (held.deleted || (held.edited_at ?? 0) > (message.edited_at ?? 0)) && !message.deleted) return;
      this.items = items.with(at, message);
      return;
    }
    const after = items.findLastIndex((held) => held.created_at <= message.created_at);
    // Older than everything held: it belongs to a page that has not been fetched.
    if (after < 0 && this.hasOlder && items.length > 0) return;
    this.items = items.toSpliced(after + 1, 0, message);
  }

  /** Changes what is held; what is not held is not made up. */
  patch(id: MessageId, change: (held: Message) => Message): void {
    const at = this.items.findLastIndex((held) => held.id === id);
    const held = this.items[at];
    if (held) this.items = this.items.with(at, change(held));
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
