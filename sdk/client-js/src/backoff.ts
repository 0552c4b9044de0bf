/** How long to wait before the next attempt: growing, capped, and spread so that clients do not return in step. */

/** Short enough that a lost frame of Wi-Fi is not noticed. */
const FIRST_MS = 400;
/** Long enough that a thousand waiting clients are a trickle, short enough that nobody reloads by hand. */
const LONGEST_MS = 20_000;

export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}
