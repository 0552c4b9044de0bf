/** Cuts a message into pieces of text, links and mentions; what comes out is only ever shown as text. */

export type Piece =
  | { kind: 'text'; text: string }
  | { kind: 'link'; text: string; href: string }
  | { kind: 'mention'; text: string; me: boolean };

const LINK = /https:\/\/[^\s<>"'`{}|\\^]+/g;
/** Punctuation after an address belongs to the sentence. */
const TAIL = /[.,;:!?)\]}”’»…]+$/;

export interface Mentioned {
  name: string;
  me: boolean;
}

export function pieces(text: string, mentioned: Mentioned[]): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    const raw = match[0];
    let href = raw.replace(TAIL, '');
    // A bracket that was opened inside the address closes it.
    if (href.includes('(') && raw.charAt(href.length) === ')') href += ')';
    const safe = safeLink(href);
    if (safe === undefined) continue;
    names(text.slice(at, match.index), mentioned, out);
    out.push({ kind: 'link', text: href, href: safe });
    at = match.index + href.length;
  }
  names(text.slice(at), mentioned, out);
  return out;
}

function safeLink(href: string): string | undefined {
  try {
    const url = new URL(href);
    return url.protocol === 'https:' && url.username === '' && url.password === '' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function names(text: string, mentioned: Mentioned[], out: Piece[]): void {
  let rest = text;
  while (rest !== '') {
    let first: { at: number; who: Mentioned } | undefined;
    for (const who of mentioned) {
      const at = rest.indexOf(`@${who.name}`);
      if (at >= 0 && (!first || at < first.at || (at === first.at && who.name.length > first.who.name.length))) first = { at, who };
    }
    if (!first) {
      out.push({ kind: 'text', text: rest });
      return;
    }
    if (first.at > 0) out.push({ kind: 'text', text: rest.slice(0, first.at) });
    out.push({ kind: 'mention', text: `@${first.who.name}`, me: first.who.me });
    rest = rest.slice(first.at + first.who.name.length + 1);
  }
}

/** One to three emoji and nothing else: shown larger. */
export function onlyEmoji(text: string): boolean {
  return text.length <= 32 && /^(?:\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic}|\p{Emoji_Modifier})*\s*){1,3}$/u.test(text.trim());
}

const fold = (text: string) => text.normalize('NFD').replace(/\p{Diacritic}/gu, '').toLowerCase();

/** Whether some word of a name begins so: what one means when one begins to type it. */
export function beginsWord(name: string, query: string): boolean {
  return ` ${fold(name).replace(/-/g, ' ')}`.includes(` ${fold(query)}`) || fold(name).startsWith(fold(query));
}

export function matches(haystack: string, query: string): boolean {
  const folded = fold(haystack);
  return fold(query)
    .split(/\s+/)
    .every((word) => folded.includes(word));
}
