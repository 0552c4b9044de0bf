// The browser's side of blind signatures against the RFC's own numbers, and what it must refuse.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { blind, bytes, finish, inverse, number, prepare } from "../../sdk/web/public/blind-rsa.js";

const said = JSON.parse(readFileSync(new URL("../fixtures/vectors/rfc9474.json", import.meta.url), "utf8"));
const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const even = (text) => (text.length % 2 ? `0${text}` : text);
const modulus = hex(said.n);

async function blinded() {
  const factor = inverse(number(hex(even(said.inv))), number(modulus));
  const prepared = prepare(hex(said.msg), hex(said.msg_prefix));
  return { prepared, made: await blind(modulus, prepared, { salt: hex(said.salt), factor }) };
}

test("what is blinded and opened is what RFC 9474 says, to the byte", async () => {
  const { made } = await blinded();
  assert.deepEqual(made.blinded, hex(said.blinded_msg));
  assert.deepEqual(finish(modulus, made, hex(said.blind_sig)), hex(said.sig));
});

test("what is no signature of the very message is refused", async () => {
  const { prepared, made } = await blinded();
  const other = await blind(modulus, prepared);
  assert.notDeepEqual(other.blinded, made.blinded, "each time blinded anew");
  assert.throws(() => finish(modulus, other, hex(said.blind_sig)), /no signature/);
  for (const at of [0, 255, 511]) {
    const spoiled = hex(said.blind_sig);
    spoiled[at] ^= 1;
    assert.throws(() => finish(modulus, made, spoiled), /no signature/);
  }
});

test("numbers come back as the bytes that they were, zeros in front too", () => {
  for (const each of [[0], [0, 1], [0, 0, 255], [1, 0, 0]]) assert.deepEqual([...bytes(number(Uint8Array.from(each)), each.length)], each);
  assert.equal(inverse(6n, 9n), undefined);
  assert.equal((inverse(7n, 40n) * 7n) % 40n, 1n);
});
