/** What was begun and not sent, per conversation, safe across reloads. */

import type { ConversationId, MessageId, UserId } from '@vaxel/client';
import { SvelteMap } from 'svelte/reactivity';
import { keys, onOtherTabs, readJson, write, writeJson } from '../lib/store.ts';
import { session } from './session.svelte.ts';

export interface Draft {
  text: string;
  reply_to?: MessageId | undefined;
  /** People chosen from the list, so that a name in the text is known to mean them. */
  mentions?: UserId[] | undefined;
}

class Drafts {
  readonly #byConversation = new SvelteMap<ConversationId, Draft>();

  load(): void {
    this.#byConversation.clear();
    const prefix = `draft:${session.user}:`;
    for (const key of keys(prefix)) {
      const draft = readJson<Draft>(key);
      if (draft?.text) this.#byConversation.set(key.slice(prefix.length), draft);
    }
  }

  /** One person writes in one tab at a time: what is begun in one stands in all, so that none writes over it. */
  watch(): void {
    onOtherTabs((key) => {
      const prefix = `draft:${session.user}:`;
      if (session.user === '' || !key.startsWith(prefix)) return;
      const draft = readJson<Draft>(key);
      if (draft) this.#byConversation.set(key.slice(prefix.length), draft);
      else this.#byConversation.delete(key.slice(prefix.length));
    });
  }

  get(conversation: ConversationId): Draft | undefined {
    return this.#byConversation.get(conversation);
  }

  set(conversation: ConversationId, draft: Draft): void {
    const key = `draft:${session.user}:${conversation}`;
    if (draft.text === '' && draft.reply_to === undefined) {
      this.#byConversation.delete(conversation);
      write(key, null);
    } else {
      this.#byConversation.set(conversation, draft);
      writeJson(key, draft);
    }
  }
}

export const drafts = new Drafts();
