/** The address is the truth about where you are: a path, and links that change it without loading. */

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  /** Set while something unsaved stands here: it is given the way on, and decides whether to take it. */
  hold: ((leave: () => void) => void) | undefined;

  constructor() {
    addEventListener('popstate', () => {
      const to = location.pathname + location.search;
      if (!this.hold || to === this.path + this.search) {
        this.path = location.pathname;
        this.search = location.search;
        return;
      }
      // The browser has moved already: it is put back until the answer is known.
      history.pushState(null, '', this.path + this.search);
      this.go(to);
    });
    addEventListener('click', (event) => this.#follow(event));
  }

  /** The second part of `/chat/<conversation>`. */
  get conversation(): string | undefined {
    const match = /^\/chat\/([^/]+)\/?$/.exec(this.path);
    return match?.[1] === undefined ? undefined : decodeURIComponent(match[1]);
  }

  /** The second part of `/plugins/<plugin>`. */
  get plugin(): string | undefined {
    return /^\/plugins\/([a-z][a-z0-9-]*)/.exec(this.path)?.[1];
  }

  /** `/surveys/<survey>/<part>`. */
  get survey(): { id: string; part: string } | undefined {
    const [, id, part] = /^\/surveys\/(srv_[0-9a-f]+)(?:\/([a-z]*))?\/?$/.exec(this.path) ?? [];
    return id === undefined ? undefined : { id, part: part ?? '' };
  }

  /** `/x/<plugin>/<page>/<path>`. */
  get page(): { plugin: string; page: string; path: string } | undefined {
    const [, plugin, page, path] = /^\/x\/([^/]+)\/([^/]+)(?:\/(.*))?$/.exec(this.path) ?? [];
    return plugin === undefined || page === undefined ? undefined : { plugin, page, path: decoded(path ?? '') };
  }

  get place(): string {
    return this.path.split('/')[1] ?? '';
  }

  go(path: string, replace = false): void {
    if (path === this.path + this.search) return;
    if (this.hold) {
      this.hold(() => {
        this.hold = undefined;
        this.go(path, replace);
      });
      return;
    }
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.path = location.pathname;
    this.search = location.search;
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.origin !== location.origin || link.hasAttribute('download')) return;
    if (link.hash !== '' || link.dataset.external !== undefined) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export const router = new Router();
export const chatPath = (conversation: string) => `/chat/${encodeURIComponent(conversation)}`;
export const pluginPath = (plugin: string, part = '') => `/plugins/${plugin}${part && `/${part}`}`;
export const surveyPath = (survey: string, part = '') => `/surveys/${survey}${part && `/${part}`}`;
