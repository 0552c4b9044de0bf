/** Ties the stores to the line: what is fetched when it stands, and what is emptied at the end of a session. */

import { i18n } from '../i18n/i18n.svelte.ts';
import { onOtherTabs, write } from '../lib/store.ts';
import { chat } from './chat.svelte.ts';
import { deletions } from './deletions.svelte.ts';
import { drafts } from './drafts.svelte.ts';
import { outbox } from './outbox.svelte.ts';
import { pages } from './pages.svelte.ts';
import { people } from './people.svelte.ts';
import { client, session } from './session.svelte.ts';
import { toasts } from './toasts.svelte.ts';

/** They have just come from another page: there is more to take in than usual. */
const RETURN_MS = 20_000;

export function startLive(): void {
  session.watch();
  people.watch();
  chat.watch();
  drafts.watch();
  client.on('plugins.switched', ({ plugin, enabled }) => {
    const news = session.has(plugin) !== enabled;
    void follow(() => session.switched(plugin, enabled));
    pages.switched(plugin);
    // Whoever switched it has been told.
    if (news && !session.admin) {
      const name = i18n.t.plugins.known[plugin]?.name ?? plugin;
      toasts.show(enabled ? i18n.t.plugins.enabled(name) : i18n.t.plugins.disabled(name));
    }
  });
  // Roles are given and taken while a page stands open; whoever comes back to it finds what they may do now.
  addEventListener('focus', () => {
    if (session.phase === 'signed_in') void refreshSession().catch(() => undefined);
  });
  client.onReady((resumed) => {
    void people.fetchPresence().catch(() => undefined);
    if (session.has('chat')) deletions.resume();
    if (resumed) outbox.flush();
    else {
      void people.fetch().catch(() => undefined);
      if (session.has('chat')) void chat.refetch();
    }
    // What was switched on or off during a gap is in no replay.
    void refreshSession().catch(() => undefined);
  });
}

/** Asks who we are and what is switched on, and fetches what has come. */
export function refreshSession(): Promise<void> {
  void pages.fetch();
  return follow(() => session.refresh());
}

async function follow(change: () => Promise<void> | void): Promise<void> {
  const had = session.has('chat');
  await change();
  if (had || !session.has('chat')) return;
  // What lies in the store from before is taken up once; what is in hand goes on by itself.
  if (outbox.items.length === 0) outbox.load();
  await chat.refetch();
}

/** Somebody comes back from another service, where they agreed to a connection or did not. */
function greetReturn(): void {
  const how = new URLSearchParams(location.search).get('connection');
  if (how === null) return;
  history.replaceState(null, '', location.pathname);
  // The tab that they left from shows it at once.
  write('returned', String(Date.now()));
  const { connectionMade, connectionFailed } = i18n.t.plugins;
  toasts.show(how === 'made' ? connectionMade : connectionFailed, { tone: how === 'made' ? 'plain' : 'alert', forMs: RETURN_MS });
}

/** Calls when somebody came back so in another tab. */
export const onReturn = (heard: () => void) => onOtherTabs((key) => key === 'returned' && heard());

/** Called once for each session, before anything of it is shown. */
export function openSession(): void {
  greetReturn();
  people.clear();
  pages.clear();
  void pages.fetch();
  chat.clear();
  drafts.load();
  void people.fetch().catch(() => undefined);
  if (session.has('chat')) {
    void chat.fetch();
    outbox.load();
  }
}
