/** Where elements stand: what each of them needs of its page. */

import type { Pages } from '@vaxel/client';
import type { Values } from './tree.ts';

export interface At {
  plugin: string;
  levels: Map<Pages.Element, 2 | 3 | 4>;
  values: Values;
  typed(id: string, value: string): void;
  send(action: Pages.Submit): void;
  /** The action that is on its way. */
  sending: string | undefined;
}
