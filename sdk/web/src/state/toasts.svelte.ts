/** Short notices at the foot of the page. None of them needs an answer; some can be undone. */

import { explain } from './session.svelte.ts';

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'alert';
  action?: { label: string; run: () => void } | undefined;
}

/** Long enough to read two lines without hurry. */
const SHOWN_MS = 6_000;

class Toasts {
  items = $state<Toast[]>([]);
  #next = 1;

  show(text: string, options: { tone?: 'plain' | 'alert'; action?: Toast['action']; forMs?: number } = {}): number {
    const id = this.#next;
    this.#next += 1;
    this.items = [...this.items.slice(-2), { id, text, tone: options.tone ?? 'plain', action: options.action }];
    setTimeout(() => this.drop(id), options.forMs ?? SHOWN_MS);
    return id;
  }

  problem(error: unknown): void {
    this.show(explain(error), { tone: 'alert' });
  }

  drop(id: number): void {
    this.items = this.items.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
