/** Small things kept on this device; where storage is forbidden the product works on without memory. */

const PREFIX = 'vaxel:';

export function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/** Answers whether it is kept: where storage is full or forbidden, what is here lasts as long as the page. */
export function write(key: string, value: string | null): boolean {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
    return true;
  } catch {
    return false;
  }
}

export function readJson<T>(key: string): T | undefined {
  const text = read(key);
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

export function writeJson(key: string, value: unknown): boolean {
  return write(key, JSON.stringify(value));
}

/** Hears what other tabs of this browser write and remove, until it is told to stop. */
export function onOtherTabs(heard: (key: string) => void): () => void {
  const listen = ({ key, storageArea }: StorageEvent) => {
    if (storageArea === localStorage && key?.startsWith(PREFIX)) heard(key.slice(PREFIX.length));
  };
  addEventListener('storage', listen);
  return () => removeEventListener('storage', listen);
}

/** The keys that begin so, without the common prefix. */
export function keys(prefix: string): string[] {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX + prefix))
      .map((key) => key.slice(PREFIX.length));
  } catch {
    return [];
  }
}
