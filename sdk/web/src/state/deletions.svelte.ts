/** Messages on their way out: hidden at once, deleted when the time for undo is over, or when the page or the session ends. */

import { Problem, type Message, type MessageId } from '@vaxel/client';
import { SvelteMap } from 'svelte/reactivity';
import { i18n } from '../i18n/i18n.svelte.ts';
import { readJson, write, writeJson } from '../lib/store.ts';
import { client, session } from './session.svelte.ts';
import { toasts } from './toasts.svelte.ts';

const UNDO_MS = 10_000;

interface Leaving {
  timer: ReturnType<typeof setTimeout>;
  toast: number;
}

class Deletions {
  readonly leaving = new SvelteMap<MessageId, Leaving>();
  /** Told when the server has deleted one. */
  done: (message: Message) => void = () => undefined;

  ask(message: Message): void {
    const timer = setTimeout(() => void this.#carryOut(message), UNDO_MS);
    const action = { label: i18n.t.undo, run: () => this.keep(message.id) };
    const toast = toasts.show(i18n.t.chat.deletesSoon, { action, forMs: UNDO_MS });
    this.leaving.set(message.id, { timer, toast });
    this.#write({ ...this.#noted(), [message.id]: Date.now() + UNDO_MS });
  }

  /** It stays, or is gone already: in either case nothing is left to do. */
  keep(id: MessageId): void {
    const held = this.leaving.get(id);
    if (!held) return;
    clearTimeout(held.timer);
    toasts.drop(held.toast);
    this.leaving.delete(id);
    this.#forget(id);
  }

  /** Before signing out: what was asked for is done while there is still a session to do it in. */
  async settle(): Promise<void> {
    const ids = [...this.leaving.keys()];
    const failed = await Promise.all(ids.map((id) => this.#send(id)));
    // What could not be done now stays noted, and is done when its author comes back.
    if (failed.some(Boolean)) toasts.show(i18n.t.chat.deletesLater, { tone: 'alert' });
    for (const [, { timer, toast }] of this.leaving) {
      clearTimeout(timer);
      toasts.drop(toast);
    }
    this.leaving.clear();
  }

  /** The page goes away, perhaps for good: sent without waiting. The note stays, since nobody hears whether it arrived. */
  leave(): void {
    for (const [id, { timer }] of this.leaving) {
      clearTimeout(timer);
      client.callAndLeave('plugins/chat/messages.delete', { message: id });
    }
  }

  /** What an earlier page or session could not finish; what another tab may still undo has its time first. */
  resume(): void {
    for (const [id, due] of Object.entries(this.#noted())) {
      if (this.leaving.has(id)) continue;
      setTimeout(() => id in this.#noted() && void this.#send(id), Math.min(UNDO_MS, Math.max(0, due - Date.now())));
    }
  }

  async #carryOut(message: Message): Promise<void> {
    try {
      await client.call('plugins/chat/messages.delete', { message: message.id });
      this.keep(message.id);
      this.done(message);
      toasts.show(i18n.t.chat.deletedToast);
    } catch (error) {
      this.keep(message.id);
      toasts.problem(error);
    }
  }

  /** Answers whether it may have to be sent again. */
  async #send(id: MessageId): Promise<boolean> {
    try {
      await client.call('plugins/chat/messages.delete', { message: id });
    } catch (error) {
      // A refusal is final: it is deleted already, or no longer theirs to delete.
      if (Problem.of(error).transient) return true;
    }
    this.#forget(id);
    return false;
  }

  #key(): string {
    return `deleting:${session.user}`;
  }

  /** When each is due. Other tabs of the same person write here as well. */
  #noted(): Record<MessageId, number> {
    return session.user === '' ? {} : (readJson<Record<MessageId, number>>(this.#key()) ?? {});
  }

  #write(noted: Record<MessageId, number>): void {
    if (Object.keys(noted).length === 0) write(this.#key(), null);
    else writeJson(this.#key(), noted);
  }

  #forget(id: MessageId): void {
    const { [id]: _, ...rest } = this.#noted();
    this.#write(rest);
  }
}

export const deletions = new Deletions();
