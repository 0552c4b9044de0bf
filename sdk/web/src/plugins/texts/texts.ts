/** The texts of the plugin pages in the language in use. */

import { i18n } from '../../i18n/i18n.svelte.ts';
import { en, type PluginTexts } from './en.ts';
import { sv } from './sv.ts';

export const texts = (): PluginTexts => (i18n.locale === 'sv' ? sv : en);
