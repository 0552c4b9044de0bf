// Follows an order while somebody shows who they are: a new code each second, and what the app waits for.

(() => {
  const order = document.getElementById('order');
  if (!order) return;
  const message = document.getElementById('message');
  const code = document.getElementById('code');
  let asking = false;

  async function look() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(order.dataset.now, { headers: { accept: 'application/json' } });
      if (!answer.ok) return;
      const now = await answer.json();
      if (now.ended) {
        location.reload();
        return;
      }
      if (message.textContent !== now.message) message.textContent = now.message;
      if (code) {
        code.hidden = !now.code;
        if (now.code) code.src = `${order.dataset.code}?at=${Date.now()}`;
      }
    } catch {
      // No network for a moment: the next second tries again.
    } finally {
      asking = false;
    }
  }

  setInterval(look, 1000);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) look();
  });
})();
