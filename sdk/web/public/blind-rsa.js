// Blind signatures with RSA (RFC 9474, RSABSSA-SHA384-PSS-Randomized), the side of whoever has something signed. Numbers
// are BigInt, whose time tells something of them to this very browser and to nobody else.

const EXPONENT = 65_537n;
const HASH_BYTES = 48;
const SALT_BYTES = 48;
const PREFIX_BYTES = 32;

export const random = (length) => crypto.getRandomValues(new Uint8Array(length));

export function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const number = (bytes) => BigInt(`0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') || '0'}`);

export function bytes(value, length) {
  const digits = value.toString(16).padStart(length * 2, '0');
  return Uint8Array.from({ length }, (_, at) => Number.parseInt(digits.slice(at * 2, at * 2 + 2), 16));
}

function power(base, exponent, modulus) {
  let result = 1n;
  let square = base % modulus;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** The inverse, or nothing where there is none. */
export function inverse(value, modulus) {
  let [a, b] = [value % modulus, modulus];
  let [x, y] = [1n, 0n];
  while (b > 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  if (a !== 1n) return undefined;
  return ((x % modulus) + modulus) % modulus;
}

const digest = async (data) => new Uint8Array(await crypto.subtle.digest('SHA-384', data));

async function mask(seed, length) {
  const parts = [];
  for (let count = 0; count * HASH_BYTES < length; count += 1) parts.push(await digest(join(seed, bytes(BigInt(count), 4))));
  return join(...parts).slice(0, length);
}

/** EMSA-PSS-ENCODE (RFC 8017, 9.1.1) for a modulus of so many bits. */
async function encoded(message, bits, salt) {
  const length = Math.ceil((bits - 1) / 8);
  const hash = await digest(join(new Uint8Array(8), await digest(message), salt));
  const padding = new Uint8Array(length - salt.length - HASH_BYTES - 2);
  const block = join(padding, Uint8Array.of(1), salt);
  const over = await mask(hash, block.length);
  const masked = block.map((byte, at) => byte ^ over[at]);
  masked[0] &= 0xff >> (8 * length - (bits - 1));
  return join(masked, hash, Uint8Array.of(0xbc));
}

function unguessable(modulus, length) {
  for (;;) {
    const candidate = number(random(length));
    if (candidate > 1n && candidate < modulus) return candidate;
  }
}

/** A message with a random beginning, so that whoever signs cannot have chosen what is signed. */
export const prepare = (message, prefix = random(PREFIX_BYTES)) => join(prefix, message);

/** What is sent to be signed, and what opens the answer. `fixed` is for test vectors alone. */
export async function blind(modulusBytes, prepared, fixed = {}) {
  const modulus = number(modulusBytes);
  const bits = modulus.toString(2).length;
  const length = Math.ceil(bits / 8);
  const message = number(await encoded(prepared, bits, fixed.salt ?? random(SALT_BYTES)));
  if (inverse(message, modulus) === undefined) throw new Error('this message cannot be signed');
  for (;;) {
    const factor = fixed.factor ?? unguessable(modulus, length);
    const opens = inverse(factor, modulus);
    if (opens !== undefined) {
      const blinded = (message * power(factor, EXPONENT, modulus)) % modulus;
      return { blinded: bytes(blinded, length), opens: bytes(opens, length), message: bytes(message, length) };
    }
  }
}

/** The signature of what was blinded; throws where it is none. */
export function finish(modulusBytes, { opens, message }, signed) {
  const modulus = number(modulusBytes);
  const signature = (number(signed) * number(opens)) % modulus;
  if (power(signature, EXPONENT, modulus) !== number(message)) throw new Error('this is no signature');
  return bytes(signature, modulusBytes.length);
}
