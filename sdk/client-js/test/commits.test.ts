/** What stands where: pages and events in the order of commits, whatever the messages' times say. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heard, layOver, type Gap } from '../src/commits.ts';

const WITHOUT: Gap = { from: Infinity, since: 0 };
const said = (...names: string[]) => names.map((id) => ({ id, created_at: 100, conversation: 'cnv_1' }));
const ids = (of: { items: { id: string }[] }) => of.items.map((each) => each.id).join('');

test('a page says what is held again, and what came meanwhile stays behind it', () => {
  const laid = layOver(said('a', 'b', 'c', 'd'), WITHOUT, said('b', 'c'), false);
  assert.equal(ids(laid), 'abcd');
  assert.equal(laid.joined, true);
});

test('a first page comes before what was heard while it was on its way, also where times say otherwise', () => {
  const early = { id: 'c', created_at: 1, conversation: 'cnv_1' };
  assert.equal(ids(layOver([early], { from: 0, since: 0 }, said('a', 'b'), true)), 'abc');
});

test('what was missed in a gap is filled in', () => {
  // b and c were missed; d and e came since, e after the page was read.
  const laid = layOver(said('a', 'd', 'e'), { from: 1, since: 1 }, said('a', 'b', 'c', 'd'), false);
  assert.equal(ids(laid), 'abcde');
  assert.equal(laid.joined, true);
});

test('where the page does not reach back over the gap, what lies before it is let go', () => {
  const laid = layOver(said('a', 'd', 'e'), { from: 1, since: 1 }, said('c', 'd'), false);
  assert.equal(ids(laid), 'cde');
  assert.equal(laid.joined, false);
  // Also where so much came since the gap that the page begins after it.
  const late = layOver(said('a', 'c', 'd', 'e'), { from: 1, since: 1 }, said('d', 'e'), false);
  assert.equal(ids(late), 'de');
  assert.equal(late.joined, false);
});

test('a replay of what is older than the page does not stand behind it', () => {
  const old = { id: 'a', created_at: 1, conversation: 'cnv_1' };
  assert.equal(ids(layOver([old], { from: 0, since: 0 }, said('d', 'e'), false)), 'de');
});

test('an empty page leaves what came by event', () => {
  assert.equal(ids(layOver(said('a'), { from: 0, since: 0 }, [], true)), 'a');
});

test('of two that were heard the later one is newer, of others the one with the later time', () => {
  const heard = new Heard();
  const message = (id: string, created_at: number) => ({ id, created_at, conversation: 'cnv_1' });
  const [first, second, third] = [message('a', 20), message('b', 10), message('c', 15)];
  assert.equal(heard.note('cnv_1', 'a'), true);
  assert.equal(heard.note('cnv_1', 'b'), true);
  assert.equal(heard.note('cnv_1', 'a'), false);
  assert.equal(heard.note('cnv_2', 'a'), true);
  assert.equal(heard.isNewer(second, first), true);
  assert.equal(heard.isNewer(first, second), false);
  assert.equal(heard.isNewer(third, second), true);
  assert.equal(heard.isNewer(third, first), false);
  for (let at = 0; at < 60; at += 1) heard.note('cnv_1', `m${at}`);
  assert.equal(heard.note('cnv_1', 'm59'), false);
  assert.equal(heard.note('cnv_1', 'a'), true, 'it remembers so many and no more');
});
