/** The address is the truth about where you are: a path, and links that change it without loading. */

class Router {
  path = $state(location.pathname);

  constructor() {
    addEventListener('popstate', () => {
      this.path = location.pathname;
    });
    addEventListener('click', (event) => this.#follow(event));
  }

  /** The second part of `/chat/<conversation>`. */
  get conversation(): string | undefined {
    const match = /^\/chat\/([^/]+)\/?$/.exec(this.path);
    return match?.[1] === undefined ? undefined : decodeURIComponent(match[1]);
  }

  get place(): string {
    return this.path.split('/')[1] ?? '';
  }

  go(path: string, replace = false): void {
    if (path === this.path) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.path = location.pathname;
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.origin !== location.origin || link.hasAttribute('download')) return;
    if (link.hash !== '' || link.dataset.external !== undefined) return;
    event.preventDefault();
    this.go(link.pathname);
  }
}

export const router = new Router();
export const chatPath = (conversation: string) => `/chat/${encodeURIComponent(conversation)}`;
