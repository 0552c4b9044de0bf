/** Messages on their way: shown at once, sent in order, kept across reloads, never sent twice. */

import { Problem, randomKey, type ConversationId, type Message, type MessageId, type UserId } from '@vaxel/client';
import { readJson, write, writeJson } from '../lib/store.ts';
import { client, explain, session } from './session.svelte.ts';

export interface Pending {
  local_id: string;
  conversation: ConversationId;
  text: string;
  reply_to?: MessageId | undefined;
  mentions: UserId[];
  created_at: number;
  state: 'sending' | 'queued' | 'failed';
  why?: string | undefined;
}

class Outbox {
  items = $state.raw<Pending[]>([]);
  readonly #busy = new Set<ConversationId>();
  delivered: (message: Message, localId: string) => void = () => undefined;

  of(conversation: ConversationId): Pending[] {
    return this.items.filter((item) => item.conversation === conversation);
  }

  load(): void {
    const kept = readJson<Pending[]>(this.#key()) ?? [];
    this.items = kept.map((item) => (item.state === 'failed' ? item : { ...item, state: 'queued' }));
    this.flush();
  }

  add(entry: Pick<Pending, 'conversation' | 'text' | 'reply_to' | 'mentions'>): void {
    const item: Pending = { ...entry, local_id: randomKey(), created_at: Date.now(), state: 'sending' };
    this.#set([...this.items, item]);
    void this.#run(entry.conversation);
  }

  retry(localId: string): void {
    const item = this.items.find((each) => each.local_id === localId);
    if (!item) return;
    this.#change(localId, { state: 'sending', why: undefined });
    void this.#run(item.conversation);
  }

  discard(localId: string): void {
    this.#set(this.items.filter((item) => item.local_id !== localId));
  }

  /** The line is back: send what waits. */
  flush(): void {
    for (const conversation of new Set(this.items.map((item) => item.conversation))) void this.#run(conversation);
  }

  /** One at a time per conversation, so that they arrive in the order they were written. */
  async #run(conversation: ConversationId): Promise<void> {
    if (this.#busy.has(conversation)) return;
    this.#busy.add(conversation);
    try {
      for (;;) {
        const item = this.items.find((each) => each.conversation === conversation && each.state !== 'failed');
        if (!item || !(await this.#send(item))) return;
      }
    } finally {
      this.#busy.delete(conversation);
    }
  }

  async #send(item: Pending): Promise<boolean> {
    this.#change(item.local_id, { state: 'sending', why: undefined });
    const { conversation, text, local_id, reply_to, mentions } = item;
    try {
      const params = { conversation, text, local_id, ...(reply_to ? { reply_to } : {}), ...(mentions.length > 0 ? { mentions } : {}) };
      // The local id is the key: a repeat after a lost answer is answered with the first message.
      const { message } = await client.call('plugins/chat/messages.send', params, { key: local_id });
      this.delivered(message, local_id);
      return true;
    } catch (error) {
      const problem = Problem.of(error);
      const waits = problem.transient || problem.code === 'timeout' || problem.status === 401;
      this.#change(item.local_id, waits ? { state: 'queued' } : { state: 'failed', why: explain(error) });
      return !waits;
    }
  }

  #change(localId: string, patch: Partial<Pending>): void {
    this.#set(this.items.map((item) => (item.local_id === localId ? { ...item, ...patch } : item)));
  }

  #set(items: Pending[]): void {
    this.items = items;
    if (items.length === 0) write(this.#key(), null);
    else writeJson(this.#key(), items);
  }

  #key(): string {
    return `outbox:${session.user}`;
  }
}

export const outbox = new Outbox();
