// Makes an anonymous ticket: something random, which the host signs without seeing it. What is blinded is kept until the
// answer is there, so that an answer that was lost on its way is asked for again, and not for another ticket.

import { blind, finish, prepare, random } from './blind-rsa.js';

const WEEK_S = 7 * 86_400;
const box = document.getElementById('ticket');
const { tag, token, making, failed } = box.dataset;
const kept = `vaxel:ticket:${tag}`;

const text = (data) => btoa(String.fromCharCode(...data)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const data = (said) => Uint8Array.from(atob(said.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));

function say(words) {
  document.getElementById('message').textContent = words;
}

async function ask(step, more = {}) {
  const body = new URLSearchParams({ _token: token, _step: step, ...more });
  const answer = await fetch(location.href, { method: 'POST', body, credentials: 'same-origin' });
  if (answer.headers.get('content-type') !== 'application/json') throw new Error(failed);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.why ?? failed);
  return told;
}

async function wish(modulus) {
  const before = JSON.parse(localStorage.getItem(kept));
  if (before?.modulus === modulus) return before;
  const prepared = prepare(random(32));
  const made = await blind(data(modulus), prepared);
  const mine = { modulus, prepared: text(prepared), blinded: text(made.blinded), opens: text(made.opens), message: text(made.message) };
  localStorage.setItem(kept, JSON.stringify(mine));
  return mine;
}

async function make() {
  say(making);
  const { modulus } = await ask('key');
  const mine = await wish(modulus);
  const { signature } = await ask('ticket', { _blinded: mine.blinded });
  const opened = finish(data(modulus), { opens: data(mine.opens), message: data(mine.message) }, data(signature));
  const cookie = `__Host-vaxel_ticket_${tag}=${mine.prepared}~${text(opened)}`;
  document.cookie = `${cookie}; Path=/; Max-Age=${WEEK_S}; Secure; SameSite=Lax`;
  if (!document.cookie.includes(cookie)) throw new Error(failed);
  localStorage.removeItem(kept);
  location.replace(location.href);
}

make().catch((error) => {
  say(error.name === 'Error' ? error.message : failed);
  document.getElementById('again').hidden = false;
});
