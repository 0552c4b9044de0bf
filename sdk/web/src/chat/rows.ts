/** Turns messages into rows: where a day begins, who speaks anew, where reading stopped. */

import type { Message, MessageId } from '@vaxel/client';
import { dayStart } from '../i18n/i18n.svelte.ts';
import type { Pending } from '../state/outbox.svelte.ts';

export interface Row {
  key: string;
  message: Message;
  pending: Pending | undefined;
  /** Midnight of the day that begins here. */
  day: number | undefined;
  unread: boolean;
  /** With name and picture; otherwise it goes on from the row above. */
  head: boolean;
}

/** A pause this long begins a new group, or the time beside the name would mislead. */
const GROUP_MS = 5 * 60_000;

export function buildRows(messages: Message[], pending: Pending[], me: string, before: Message | undefined, firstUnread: MessageId | undefined): Row[] {
  const rows: Row[] = [];
  let above = before;
  // Messages stand in the order in which the server took them; around midnight their times may say otherwise.
  let today = before ? dayStart(before.created_at) : -Infinity;
  const push = (message: Message, waiting: Pending | undefined) => {
    const begun = dayStart(message.created_at);
    const day = begun > today;
    today = Math.max(today, begun);
    const unread = firstUnread !== undefined && message.id === firstUnread;
    const head =
      day || unread || !above || above.author !== message.author || message.created_at - above.created_at > GROUP_MS || message.reply_to !== null;
    rows.push({ key: message.id, message, pending: waiting, day: day ? begun : undefined, unread, head });
    above = message;
  };
  for (const message of messages) push(message, undefined);
  for (const waiting of pending) push(asMessage(waiting, me), waiting);
  return rows;
}

function asMessage(pending: Pending, me: string): Message {
  return {
    id: pending.local_id,
    conversation: pending.conversation,
    author: me,
    text: pending.text,
    created_at: pending.created_at,
    edited_at: null,
    deleted: false,
    reply_to: pending.reply_to ? { id: pending.reply_to, author: '', text: '', deleted: false } : null,
    mentions: pending.mentions,
    reactions: [],
  };
}
