// Public pages work without this. With it, what is typed outlives a lost connection and a reload, and forms are sent
// without loading the page anew.

(() => {
  const said = document.body.dataset;
  const draftKey = () => `vaxel:page:${location.pathname}${location.search}`;
  const form = () => document.querySelector('form[data-vaxel-form]');
  const fields = (of) => [...of.elements].filter((field) => /^[tnm]\./.test(field.name) && field.type !== 'hidden');

  // A tab's own memory: gone with the tab, never on disk for the next person.
  function keep() {
    const open = form();
    if (!open) return;
    const draft = fields(open).map((field) => (field.type === 'checkbox' || field.type === 'radio' ? field.checked : field.value));
    try {
      sessionStorage.setItem(draftKey(), JSON.stringify(draft));
    } catch {
      // Full or forbidden: the page still works.
    }
  }

  function restore() {
    const open = form();
    let draft;
    try {
      draft = JSON.parse(sessionStorage.getItem(draftKey()));
    } catch {
      return;
    }
    const list = open ? fields(open) : [];
    if (!Array.isArray(draft) || draft.length !== list.length) return;
    list.forEach((field, at) => {
      const value = draft[at];
      if (typeof value === 'boolean') field.checked = value;
      else if (typeof value === 'string') field.value = value;
    });
  }

  function forget(key) {
    try {
      sessionStorage.removeItem(key);
    } catch {
      // As above.
    }
  }

  function say(text) {
    document.getElementById('trouble')?.remove();
    if (!text) return;
    const note = document.createElement('div');
    note.id = 'trouble';
    note.className = 'notice attention';
    note.setAttribute('role', 'alert');
    note.textContent = text;
    form()?.before(note);
    note.scrollIntoView({ block: 'nearest' });
  }

  function focusOn(main) {
    const first = main.querySelector('#mistakes, [role=alert]') ?? main;
    first.tabIndex = -1;
    first.focus();
  }

  async function send(open, button) {
    const body = new URLSearchParams(new FormData(open, button));
    const buttons = open.querySelectorAll('button');
    const words = button?.textContent;
    const key = draftKey();
    for (const each of buttons) each.setAttribute('aria-disabled', 'true');
    if (button) button.textContent = said.sending;
    open.setAttribute('aria-busy', 'true');
    try {
      // Only a page that asks who sends has a use for cookies: there they hold what was shown.
      const credentials = body.has('_proof') ? 'same-origin' : 'omit';
      const answer = await fetch(location.href, { method: 'POST', body, credentials, headers: { Accept: 'text/html' } });
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const main = next.querySelector('main');
      if (!main) throw new Error(String(answer.status));
      // A server in trouble, or a page that is gone: what was typed stays where it is.
      if (!answer.ok && !main.querySelector('form')) {
        say(`${said.notSent}: ${main.querySelector('p')?.textContent ?? answer.status}`);
        return;
      }
      if (answer.ok) forget(key);
      if (answer.redirected) history.pushState(null, '', answer.url);
      document.title = next.title;
      document.querySelector('main').replaceWith(document.adoptNode(main));
      if (!answer.ok) keep();
      focusOn(main);
    } catch {
      say(said.offline);
    } finally {
      open.removeAttribute('aria-busy');
      if (button) button.textContent = words;
      for (const each of buttons) each.removeAttribute('aria-disabled');
    }
  }

  addEventListener('submit', (event) => {
    const open = event.target.closest('form[data-vaxel-form]');
    if (!open) return;
    event.preventDefault();
    if (open.getAttribute('aria-busy') !== 'true') void send(open, event.submitter);
  });
  addEventListener('input', (event) => {
    event.target.setCustomValidity?.('');
    keep();
  });
  // An author's words for what is missing, where there are any.
  addEventListener(
    'invalid',
    (event) => {
      const words = event.target.dataset?.message;
      if (words && !event.target.validity.customError) event.target.setCustomValidity(words);
    },
    true,
  );
  addEventListener('popstate', () => location.reload());
  restore();
})();
