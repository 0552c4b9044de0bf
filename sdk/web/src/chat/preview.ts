/** The one line that stands for a message in the list. */

import type { Conversation, Message } from '@vaxel/client';
import { i18n } from '../i18n/i18n.svelte.ts';
import { people } from '../state/people.svelte.ts';
import { session } from '../state/session.svelte.ts';
import type { IconName } from '../ui/icons.ts';

export function preview(conversation: Conversation): string {
  const last = conversation.last_message;
  if (!last) return conversation.kind === 'direct' ? '' : i18n.t.chat.members(conversation.member_count);
  const text = last.deleted ? i18n.t.chat.deleted : oneLine(last);
  if (last.author === session.user) return i18n.t.chat.you(text);
  return conversation.kind === 'direct' ? text : i18n.t.chat.announce(firstName(people.name(last.author)), text);
}

export function oneLine(message: Pick<Message, 'text'>): string {
  return message.text.slice(0, 200).replace(/\s+/g, ' ');
}

export function firstName(name: string): string {
  return name.split(' ')[0] ?? name;
}

export function iconOf(conversation: Conversation): IconName | undefined {
  if (conversation.kind === 'channel') return conversation.public ? 'hash' : 'lock';
  return conversation.kind === 'group' ? 'people' : undefined;
}
