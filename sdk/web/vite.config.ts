/** Builds the web client into the stage that the server embeds, compressed ahead of time. */

import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { precompress } from './scripts/precompress.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [svelte(), precompress(here('../../stage/web'))],
  resolve: { alias: { '@vaxel/client': here('../client-js/src/index.ts') } },
  server: { proxy: { '/api': { target: 'http://acme.localhost:8080', ws: true } } },
  build: {
    outDir: here('../../stage/web'),
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy allows files of this origin only: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
