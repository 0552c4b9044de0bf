// Fails when the first load outgrows its budget: what index.html names, and everything those files import at once.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const KB = 1000;
const FIRST_JS_MAX = 120 * KB;
const FIRST_TOTAL_MAX = 200 * KB;
const ROUTE_MAX = 60 * KB;

const stage = join(dirname(fileURLToPath(import.meta.url)), '../../../stage/web');
const gz = (path) => {
  const bytes = readFileSync(join(stage, path));
  return /\.(woff2|png|webp)$/.test(path) ? bytes.length : gzipSync(bytes, { level: 9 }).length;
};

const html = readFileSync(join(stage, 'index.html'), 'utf8');
const first = new Set(['index.html']);
const visit = (path) => {
  if (first.has(path)) return;
  first.add(path);
  const text = /\.(js|css)$/.test(path) ? readFileSync(join(stage, path), 'utf8') : '';
  // Static imports only: `import("…")` belongs to a later route.
  const pattern = path.endsWith('.css') ? /url\(["']?([^"')]+)["']?\)/g : /(?:from|import)\s*["']([^"']+\.js)["']/g;
  for (const [, target] of text.matchAll(pattern)) {
    visit(target.startsWith('/') ? target.slice(1) : posix.join(posix.dirname(path), target));
  }
};
for (const [, target] of html.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css|svg|webmanifest))"/g)) visit(target);

const js = [...first].filter((path) => path.endsWith('.js'));
const sum = (paths) => paths.reduce((total, path) => total + gz(path), 0);
const firstJs = sum(js);
const firstTotal = sum([...first]);
let failed = false;
const report = (name, value, max) => {
  const over = value > max;
  failed ||= over;
  console.log(`${name.padEnd(28)} ${(value / KB).toFixed(1).padStart(7)} kB of ${max / KB} kB${over ? '  OVER' : ''}`);
};
report('first load, JavaScript', firstJs, FIRST_JS_MAX);
report('first load, everything', firstTotal, FIRST_TOTAL_MAX);
for (const name of readdirSync(join(stage, 'assets')).filter((name) => name.endsWith('.js'))) {
  if (!first.has(`assets/${name}`)) report(`route ${name.replace(/-[^-]+\.js$/, '')}`, gz(`assets/${name}`), ROUTE_MAX);
}
for (const path of first) {
  if (!/\.(js|css|html)$/.test(path) || statSync(join(stage, path)).size < 512) continue;
  for (const suffix of ['.br', '.gz']) statSync(join(stage, path + suffix));
}
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=/.test(html)) {
  console.log('index.html carries inline script or style: the content security policy forbids it');
  failed = true;
}
process.exit(failed ? 1 : 0);
