/** The places of the product for this person: what is switched off or not allowed is not in the list. */

import { i18n } from '../i18n/i18n.svelte.ts';
import { router } from '../lib/router.svelte.ts';
import { pages } from '../state/pages.svelte.ts';
import { session } from '../state/session.svelte.ts';
import type { IconName } from '../ui/icons.ts';

export interface Place {
  id: string;
  path: string;
  name: string;
  icon: IconName;
}

export function places(): Place[] {
  const { nav } = i18n.t;
  const list: Place[] = [session.has('chat') ? { id: 'chat', path: '/', name: nav.chat, icon: 'chat' } : { id: 'home', path: '/', name: nav.home, icon: 'home' }];
  if (surveys()) list.push({ id: 'surveys', path: '/surveys', name: nav.surveys, icon: 'survey' });
  for (const { plugin, page, title } of pages.shown) {
    list.push({ id: `page:${plugin}/${page}`, path: `/x/${plugin}/${page}`, name: title, icon: 'page' });
  }
  if (session.admin) {
    list.push({ id: 'people', path: '/people', name: nav.people, icon: 'people' });
    list.push({ id: 'plugins', path: '/plugins', name: nav.plugins, icon: 'plug' });
  }
  list.push({ id: 'settings', path: '/settings', name: nav.settings, icon: 'settings' });
  return list;
}

/** Whether there are surveys here for this person. */
const surveys = () => session.has('surveys') && (session.me?.permissions.some((permission) => permission.startsWith('surveys.')) ?? false);

/** Which place an address belongs to; undefined where nothing is. */
export function placeOf(segment: string): string | undefined {
  if (segment === '' || segment === 'login' || segment === 'invite') return session.has('chat') ? 'chat' : 'home';
  // Switched off while somebody was in it: the address stays theirs until it is on again.
  if (segment === 'chat') return session.has('chat') ? 'chat' : 'home';
  // Also one that is gone: whoever is on it is told so.
  if (segment === 'x') return router.page && `page:${router.page.plugin}/${router.page.page}`;
  if (segment === 'surveys') return surveys() ? 'surveys' : undefined;
  if (segment === 'people' || segment === 'plugins') return session.admin ? segment : undefined;
  return segment === 'settings' ? 'settings' : undefined;
}
