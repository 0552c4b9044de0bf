/** Starts the client: styles, language, then the page. */

import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { i18n } from './i18n/i18n.svelte.ts';
import { startLive } from './state/live.ts';
import { session } from './state/session.svelte.ts';

i18n.start();
startLive();
void session.begin();

const target = document.getElementById('app');
if (target) mount(App, { target });
