/** Which of the shell's own windows is open: the palette, the list of keys, a new conversation. */

class ShellState {
  palette = $state(false);
  keys = $state(false);
  create = $state<'direct' | 'group' | 'channel' | 'discover' | undefined>();
  /** What a screen reader is told, politely. */
  spoken = $state('');
  now = $state(Date.now());

  constructor() {
    // Relative days ("today") turn at midnight in a page that stays open.
    setInterval(() => (this.now = Date.now()), 60_000);
  }

  say(text: string): void {
    this.spoken = text;
  }
}

export const shell = new ShellState();
