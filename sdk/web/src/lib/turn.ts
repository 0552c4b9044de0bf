/** One tab after the other, as a courtesy: whoever has waited long enough goes on without its turn. */

/** Runs `run` while no other tab of this browser holds the same name, or after `waitMs` in any case. */
export async function inTurn(name: string, waitMs: number, run: () => Promise<void>): Promise<void> {
  let began = false;
  const begin = () => {
    began = true;
    return run();
  };
  // Missing where the page came over plain HTTP from another machine.
  if (!('locks' in navigator)) return begin();
  try {
    await navigator.locks.request(name, { signal: AbortSignal.timeout(waitMs) }, begin);
  } catch (error) {
    if (began) throw error;
    await begin();
  }
}
