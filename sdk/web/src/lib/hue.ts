/** A steady colour and the initials of a person or a conversation. */

/** Hues far enough apart to tell, none of them the alert's red. */
const HUES = [55, 85, 120, 150, 180, 208, 235, 262, 290, 320, 350];

export function hueOf(id: string): number {
  let hash = 2_166_136_261;
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 16_777_619);
  return HUES[(hash >>> 0) % HUES.length] ?? 208;
}

/** Of the first and the last word; a double name counts as one. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter((word) => /^\p{L}|\p{N}/u.test(word));
  const first = words[0] ?? '';
  const last = words.length > 1 ? (words.at(-1) ?? '') : '';
  return ([...first][0] ?? '').concat([...last][0] ?? '').toUpperCase();
}
