/** The order in which the server committed: events come in it and pages are in it, while times of messages may contradict it. */

interface Named {
  id: string;
  created_at: number;
}

/** Positions in what is held: up to `from` it is known to be without a hole, and so is what begins at `since`. */
export interface Gap {
  from: number;
  since: number;
}

/**
 * Lays the newest page over what is held; a page that is not the whole has older ones behind it.
 * Answers everything in order, and whether what is held joins on to the page.
 */
export function layOver<T extends Named>(held: readonly T[], gap: Gap, page: readonly T[], whole: boolean): { items: T[]; joined: boolean } {
  const first = page[0];
  const inPage = new Set(page.map((each) => each.id));
  const last = held.findLastIndex((each) => inPage.has(each.id));
  const reach = first && !whole ? first.created_at : 0;
  // What came by event while the page was on its way, and is not in it, is newer than all of it.
  const newer = held.slice(Math.max(gap.since, last + 1)).filter((each) => each.created_at >= reach);
  const at = first ? held.findIndex((each) => each.id === first.id) : -1;
  const joined = at >= 0 && at < gap.from;
  return { items: [...(joined ? held.slice(0, at) : []), ...page, ...newer], joined };
}

/** How many events back it is known what came before what, in each conversation. */
const HEARD_MAX = 50;

/** Remembers what was heard last, to tell which of two messages is the newer one. */
export class Heard {
  readonly #byConversation = new Map<string, string[]>();

  /** Answers false where it was heard before. */
  note(conversation: string, id: string): boolean {
    const ids = this.#byConversation.get(conversation) ?? [];
    if (ids.includes(id)) return false;
    this.#byConversation.set(conversation, [...ids.slice(1 - HEARD_MAX), id]);
    return true;
  }

  /** By the order of events, and by their times where they did not both come as events. */
  isNewer(one: Named & { conversation: string }, other: Named): boolean {
    const ids = this.#byConversation.get(one.conversation) ?? [];
    const at = ids.lastIndexOf(one.id);
    const otherAt = ids.lastIndexOf(other.id);
    return at >= 0 && otherAt >= 0 ? at > otherAt : one.created_at > other.created_at;
  }

  clear(): void {
    this.#byConversation.clear();
  }
}
