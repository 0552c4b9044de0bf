/** How the client behaves when the line breaks, the token ends, answers get lost, and tabs share a session. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Client } from '../src/client.ts';
import { Problem } from '../src/problem.ts';
import { TestServer } from './server.ts';
import { Browser, TestWorld, until } from './world.ts';

const SEND = 'plugins/chat/messages.send';
const message = (text: string) => ({ conversation: 'cnv_1', text, local_id: text });

let server: TestServer;
let world: TestWorld;
let client: Client;
const heard: string[] = [];
const readies: boolean[] = [];

beforeEach(async () => {
  server = await new TestServer().start();
  world = new TestWorld();
  client = open(world);
  heard.length = readies.length = 0;
});

afterEach(async () => {
  client.disconnect();
  await server.stop();
});

function open(into: TestWorld): Client {
  const made = new Client(server.base, into);
  made.on('chat.message.created', (event) => heard.push(event.message.text));
  made.onReady((resumed) => readies.push(resumed));
  return made;
}

async function connected(): Promise<void> {
  await client.session.login('anna', 'a password');
  client.connect();
  await until(() => client.state === 'ready', 'ready');
}

const say = (text: string) => server.publish('chat.message.created', { message: { text } });

test('a call made on the socket is answered there', async () => {
  await connected();
  const answer = await client.call(SEND, message('hello'));
  assert.deepEqual((answer as unknown as { echo: unknown }).echo, message('hello'));
  assert.equal(server.requests.filter((request) => request.path === SEND).length, 0);
});

test('a burst of presence reaches who follows single people, in order, and who follows bursts', async () => {
  const seen: string[] = [];
  client.on('presence.changed', ({ user, status }) => seen.push(`${user} ${status}`));
  client.on('presence.listed', ({ items }) => seen.push(`${items.length} at once`));
  await connected();
  server.publish('presence.changed', { user: 'usr_1', status: 'online' });
  server.publish('presence.listed', { items: [{ user: 'usr_2', status: 'online' }, { user: 'usr_1', status: 'away' }] });
  await until(() => seen.length === 4, 'all changes');
  assert.deepEqual(seen, ['usr_1 online', '2 at once', 'usr_2 online', 'usr_1 away']);
});

test('a call made without a socket goes over HTTP with the token and a key', async () => {
  await client.session.login('anna', 'a password');
  await client.call(SEND, message('hello'));
  const request = server.requests.at(-1);
  assert.equal(request?.token, 'Bearer token-1');
  assert.match(request?.key ?? '', /^[0-9a-f]{32}$/);
});

test('answers that come in another order reach the call that asked', async () => {
  await connected();
  server.hold = true;
  const calls = ['one', 'two', 'three'].map((text) => client.call(SEND, message(text)));
  await until(() => server.frames.filter((frame) => frame.type === 'call').length === 3, 'three calls');
  server.release();
  const texts = (await Promise.all(calls)).map((answer) => (answer as unknown as { echo: { text: string } }).echo.text);
  assert.deepEqual(texts, ['one', 'two', 'three']);
});

test('no more calls are open at once than the server allows, and all are answered', async () => {
  await connected();
  server.hold = true;
  const calls = Array.from({ length: 60 }, (_, at) => client.call(SEND, message(String(at))));
  const asked = () => server.frames.filter((frame) => frame.type === 'call').length;
  await until(() => asked() === 24, 'a full line');
  assert.equal(asked(), 24);
  server.hold = false;
  server.release();
  assert.equal((await Promise.all(calls)).length, 60);
});

test('after a gap the client resumes at its cursor and hears each missed event once', async () => {
  await connected();
  say('before');
  await until(() => heard.length === 1, 'the first event');
  server.last.terminate();
  await until(() => client.state === 'waiting', 'waiting');
  say('meanwhile one');
  say('meanwhile two');
  world.advance(20_000);
  await until(() => heard.length === 3, 'the missed events');
  say('after');
  await until(() => heard.length === 4, 'the next event');
  assert.deepEqual(heard, ['before', 'meanwhile one', 'meanwhile two', 'after']);
  assert.deepEqual(readies, [false, true]);
  assert.equal(server.auths().at(-1)?.resume, '1');
});

test('a second break during the replay loses nothing', async () => {
  await connected();
  say('one');
  await until(() => heard.length === 1, 'the first event');
  server.last.terminate();
  await until(() => client.state === 'waiting', 'waiting');
  for (const text of ['two', 'three', 'four']) say(text);
  const stop = client.on('chat.message.created', (event) => {
    if (event.message.text === 'two') server.last.terminate();
  });
  world.advance(20_000);
  await until(() => heard.includes('four'), 'everything, sooner or later, unless it was cut').catch(() => undefined);
  stop();
  if (!heard.includes('four')) {
    world.advance(60_000);
    await until(() => heard.includes('four'), 'the rest');
  }
  assert.deepEqual([...new Set(heard)], ['one', 'two', 'three', 'four']);
});

test('when the cursor is too old the client says so and starts afresh on the same socket', async () => {
  await connected();
  say('one');
  await until(() => heard.length === 1, 'the first event');
  server.last.terminate();
  await until(() => client.state === 'waiting', 'waiting');
  server.oldestCursor = 100;
  world.advance(20_000);
  await until(() => readies.at(-1) === false && readies.length > 1, 'word that everything must be fetched');
  assert.equal(server.sockets.length, 2);
  say('afterwards');
  await until(() => heard.at(-1) === 'afterwards', 'the line goes on');
});

test('the token is renewed before it ends, on the same socket', async () => {
  await connected();
  // Something is heard now and then, so that the line is never asked whether it lives.
  for (let at = 1; at <= 13; at += 1) {
    world.advance(40_000);
    say(String(at));
    await until(() => heard.length === at, 'a sign of life');
  }
  assert.equal(server.auths().length, 1);
  world.advance(25_000);
  await until(() => server.auths().length === 2, 'the renewal');
  assert.equal(server.auths().at(-1)?.token, 'token-2');
  assert.equal(server.sockets.length, 1);
  assert.deepEqual(readies, [false]);
});

test('a quiet line is asked whether it lives, and replaced when it does not answer', async () => {
  await connected();
  server.mute = true;
  world.advance(46_000);
  await until(() => server.auths().length === 2, 'the question');
  server.mute = false;
  world.advance(11_000);
  world.advance(20_000);
  await until(() => server.sockets.length === 2 && client.state === 'ready', 'ready again');
  assert.deepEqual(readies, [false, true]);
});

test('a repeat after a lost answer is carried out once', async () => {
  await connected();
  server.loseNextAnswer = true;
  const answer = (await client.call(SEND, message('once'), { key: 'k1' })) as unknown as { nth: number };
  assert.equal(answer.nth, 1);
  assert.equal(server.executed, 1);
  assert.equal(server.requests.at(-1)?.key, 'k1');
});

test('a connection lost under an HTTP call is tried again under the same key', async () => {
  await client.session.login('anna', 'a password');
  server.failNextHttp = 1;
  const call = client.call(SEND, message('again'));
  await until(() => server.executed === 1, 'the first attempt');
  const waiting = setInterval(() => world.advance(1_000), 1);
  const answer = (await call.finally(() => clearInterval(waiting))) as unknown as { nth: number };
  assert.equal(answer.nth, 1);
  const keys = server.requests.filter((request) => request.path === SEND).map((request) => request.key);
  assert.equal(keys.length, 2);
  assert.equal(new Set(keys).size, 1);
});

test('a draining server is left and found again after the time it named', async () => {
  await connected();
  server.bye('draining', { retry_after_ms: 5_000 });
  await until(() => client.state === 'waiting', 'waiting');
  world.advance(4_000);
  assert.equal(client.state, 'waiting');
  world.advance(2_000);
  await until(() => client.state === 'ready', 'ready again');
  assert.deepEqual(readies, [false, true]);
});

test('a revoked session ends when the refresh is refused too', async () => {
  await connected();
  server.refuseRefresh = true;
  let ended = false;
  client.session.onChange((change) => (ended ||= change === 'signed_out'));
  server.bye('revoked');
  await until(() => client.state === 'ended', 'the end');
  assert.ok(ended);
  await assert.rejects(client.call(SEND, message('too late')), (error) => error instanceof Problem && error.status === 401);
});

test('many calls that find the token gone cause one refresh', async () => {
  server.tokenSeconds = 10;
  await client.session.login('anna', 'a password');
  server.tokenSeconds = 600;
  await Promise.all(Array.from({ length: 8 }, (_, at) => client.call(SEND, message(String(at)))));
  assert.equal(server.refreshes, 2);
});

test('two tabs that find the token gone cause one refresh between them', async () => {
  const browser = new Browser();
  const [first, second] = [new TestWorld(browser), new TestWorld(browser)];
  const one = open(first);
  const two = open(second);
  await one.session.restore();
  await two.session.restore();
  const before = server.refreshes;
  for (const each of [first, second]) each.advance(590_000);
  await Promise.all([one.session.token(), two.session.token()]);
  assert.equal(server.refreshes, before + 1);
});

test('signing out in one tab signs the other out', async () => {
  const browser = new Browser();
  const one = open(new TestWorld(browser));
  const two = open(new TestWorld(browser));
  await one.session.restore();
  await two.session.restore();
  await one.session.logout();
  assert.equal(two.session.signedIn, false);
});

test('a refusal arrives as a typed problem', async () => {
  server.refuseRefresh = true;
  assert.equal(await client.session.restore(), undefined);
  await assert.rejects(client.session.token(), (error) => error instanceof Problem && error.code === 'unauthenticated' && !error.transient);
});
