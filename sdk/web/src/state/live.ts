/** Ties the stores to the line: what is fetched when it stands, and what is emptied at the end of a session. */

import { chat } from './chat.svelte.ts';
import { drafts } from './drafts.svelte.ts';
import { outbox } from './outbox.svelte.ts';
import { people } from './people.svelte.ts';
import { client, session } from './session.svelte.ts';

export function startLive(): void {
  session.watch();
  people.watch();
  chat.watch();
  client.onReady((resumed) => {
    void people.fetchPresence().catch(() => undefined);
    if (resumed) {
      outbox.flush();
      return;
    }
    void session.refresh().catch(() => undefined);
    void people.fetch().catch(() => undefined);
    if (session.has('chat')) void chat.refetch();
  });
}

/** Called once for each session, before anything of it is shown. */
export function openSession(): void {
  people.clear();
  chat.clear();
  drafts.load();
  void people.fetch().catch(() => undefined);
  if (session.has('chat')) {
    void chat.fetch();
    outbox.load();
  }
}
