/** Messages on their way: shown at once, sent in order, kept across reloads, shared by all tabs of a browser. */

import { Problem, randomKey, type ConversationId, type Message, type MessageId, type UserId } from '@vaxel/client';
import { keys, onOtherTabs, read, readJson, write, writeJson } from '../lib/store.ts';
import { inTurn } from '../lib/turn.ts';
import { client, explain, session } from './session.svelte.ts';

export interface Pending {
  local_id: string;
  conversation: ConversationId;
  text: string;
  reply_to?: MessageId | undefined;
  mentions: UserId[];
  created_at: number;
  /** `sent`: another tab has sent it, and the event that brings it here is on its way. */
  state: 'sending' | 'queued' | 'failed' | 'sent';
  why?: string | undefined;
}

/** A tab that a browser has put to sleep must not keep the others from sending; that two send the same is harmless. */
const TURN_WAIT_MS = 20_000;
/** How long what another tab sent is shown as on its way. */
const EVENT_WAIT_MS = 3_000;
/** Other tabs tell of what they wrote within moments: no need to remember for longer what has arrived. */
const ARRIVED_MAX = 200;

class Outbox {
  /** In the order they were written. */
  items = $state.raw<Pending[]>([]);
  readonly #busy = new Set<ConversationId>();
  /** What lies in the store; the rest is only here, since the store is full or forbidden. */
  readonly #kept = new Set<string>();
  readonly #arrived = new Set<string>();
  delivered: (message: Message, localId: string) => void = () => undefined;

  of(conversation: ConversationId): Pending[] {
    return this.items.filter((item) => item.conversation === conversation);
  }

  load(): void {
    this.#kept.clear();
    const found = keys(prefix()).flatMap((key) => readJson<Pending>(key) ?? []);
    for (const item of found) this.#kept.add(item.local_id);
    this.items = inOrder(found);
    this.flush();
  }

  add(entry: Pick<Pending, 'conversation' | 'text' | 'reply_to' | 'mentions'>): void {
    // Two of the same millisecond keep their order across a reload.
    const created_at = Math.max(Date.now(), (this.items.at(-1)?.created_at ?? 0) + 1);
    const item: Pending = { ...entry, local_id: randomKey(), created_at, state: 'sending' };
    this.items = [...this.items, item];
    this.#keep(item);
    void this.#run(entry.conversation);
  }

  retry(localId: string): void {
    const item = this.items.find((each) => each.local_id === localId);
    if (!item) return;
    this.#change(localId, { state: 'sending', why: undefined });
    void this.#run(item.conversation);
  }

  discard(localId: string): void {
    if (this.#kept.delete(localId)) write(prefix() + localId, null);
    this.items = this.items.filter((item) => item.local_id !== localId);
  }

  /** It has come back as a message, from whichever tab it was sent. */
  arrived(localId: string): void {
    this.#arrived.add(localId);
    for (const oldest of this.#arrived) {
      if (this.#arrived.size <= ARRIVED_MAX) break;
      this.#arrived.delete(oldest);
    }
    this.discard(localId);
  }

  /** Everything was fetched anew, so what other tabs sent is in it. */
  fetched(): void {
    this.items = this.items.filter((item) => item.state !== 'sent');
  }

  /** The line is back: send what waits. */
  flush(): void {
    for (const conversation of new Set(this.items.map((item) => item.conversation))) void this.#run(conversation);
  }

  watch(): void {
    onOtherTabs((key) => {
      if (session.user === '' || !key.startsWith(prefix())) return;
      const localId = key.slice(prefix().length);
      const held = this.items.find((item) => item.local_id === localId);
      // As it is now: several changes may have been made since this one was told.
      const written = readJson<Pending>(key);
      if (!written) {
        if (held) this.#gone(held);
        return;
      }
      if (this.#arrived.has(localId) || (held && (held.state === 'failed') === (written.state === 'failed'))) return;
      this.#kept.add(localId);
      this.items = inOrder([...this.items.filter((item) => item !== held), written]);
      // Its tab may be closed before it gets its turn.
      if (written.state !== 'failed') void this.#run(written.conversation);
    });
  }

  /** One at a time per conversation, so that they arrive in the order they were written. */
  async #run(conversation: ConversationId): Promise<void> {
    if (this.#busy.has(conversation)) return;
    this.#busy.add(conversation);
    await inTurn(`vaxel:${prefix()}${conversation}`, TURN_WAIT_MS, async () => {
      try {
        for (;;) {
          const item = this.items.find((each) => each.conversation === conversation && (each.state === 'sending' || each.state === 'queued'));
          if (!item || !(await this.#send(item))) return;
        }
      } finally {
        // Before the turn passes on: what is added from here on runs by itself.
        this.#busy.delete(conversation);
      }
    });
  }

  async #send(item: Pending): Promise<boolean> {
    const { conversation, text, local_id, reply_to, mentions } = item;
    if (this.#takenAway(local_id)) {
      this.#gone(item);
      return true;
    }
    this.#change(local_id, { state: 'sending', why: undefined });
    try {
      const params = { conversation, text, local_id, ...(reply_to ? { reply_to } : {}), ...(mentions.length > 0 ? { mentions } : {}) };
      // The local id is the key: a repeat, of this tab or another, is answered with the first message.
      const { message } = await client.call('plugins/chat/messages.send', params, { key: local_id });
      this.discard(local_id);
      this.delivered(message, local_id);
      return true;
    } catch (error) {
      const problem = Problem.of(error);
      const waits = problem.transient || problem.code === 'timeout' || problem.status === 401;
      if (waits) this.items = this.items.map((each) => (each.conversation === conversation && each.state === 'sending' ? { ...each, state: 'queued' } : each));
      else this.#change(local_id, { state: 'failed', why: explain(error) });
      return !waits;
    }
  }

  /** Removed by another tab: sent, or thrown away there by hand after it failed. */
  #gone(item: Pending): void {
    this.#kept.delete(item.local_id);
    const waits = item.state !== 'failed' && !this.#arrived.has(item.local_id);
    if (waits) {
      this.#change(item.local_id, { state: 'sent' });
      // The page may have been fetched with the message in it, before this was told: then no event comes.
      setTimeout(() => (this.items = this.items.filter((each) => each.local_id !== item.local_id || each.state !== 'sent')), EVENT_WAIT_MS);
    } else {
      this.items = this.items.filter((each) => each.local_id !== item.local_id);
    }
  }

  #takenAway(localId: string): boolean {
    return this.#kept.has(localId) && read(prefix() + localId) === null;
  }

  #change(localId: string, patch: Partial<Pending>): void {
    this.items = this.items.map((item) => {
      if (item.local_id !== localId) return item;
      const changed = { ...item, ...patch };
      // What another tab has sent meanwhile is not put back, and whether it is on its way is nothing to keep.
      if ((item.state === 'failed') !== (changed.state === 'failed') && !this.#takenAway(localId)) this.#keep(changed);
      return changed;
    });
  }

  /** Each under a key of its own, so that no tab writes over what another one keeps. */
  #keep(item: Pending): void {
    const { state, ...rest } = item;
    if (writeJson(prefix() + item.local_id, { ...rest, state: state === 'failed' ? state : 'queued' })) this.#kept.add(item.local_id);
  }
}

function prefix(): string {
  return `outbox:${session.user}:`;
}

function inOrder(items: Pending[]): Pending[] {
  return items.sort((a, b) => a.created_at - b.created_at || (a.local_id < b.local_id ? -1 : 1));
}

export const outbox = new Outbox();
