//! Places to run in, given out in turns: who has many calls waiting gets one place, then the next caller does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use vaxel_core::UserId;

/// Whose turn: a person, or everybody who is not signed in together.
pub(crate) type Caller = Option<UserId>;

/// A number of places. Clones share them.
#[derive(Clone)]
pub(crate) struct Places(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// Who waits, in the order of their turns; each once.
    turns: VecDeque<Caller>,
    waiting: HashMap<Caller, VecDeque<oneshot::Sender<Permit>>>,
}

/// One place, given to the next in turn when it is dropped.
pub(crate) struct Permit(Option<Places>);

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: count,
            turns: VecDeque::new(),
            waiting: HashMap::new(),
        })))
    }

    /// A place, if one is free. Nobody waits then: a place that is given back goes to who waits.
    pub(crate) fn try_take(&self) -> Option<Permit> {
        let mut state = self.0.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Permit(Some(self.clone())))
    }

    /// Waits for a place in the caller's turn. Whoever stops waiting loses nothing for others.
    pub(crate) async fn take(&self, caller: Caller) -> Permit {
        let place = {
            let mut state = self.0.lock();
            if let Some(free) = state.free.checked_sub(1) {
                state.free = free;
                return Permit(Some(self.clone()));
            }
            let (give, place) = oneshot::channel();
            let queue = state.waiting.entry(caller).or_default();
            queue.push_back(give);
            if queue.len() == 1 {
                state.turns.push_back(caller);
            }
            place
        };
        match place.await {
            Ok(permit) => permit,
            // Never: a sender leaves the queue only with a permit, and the queue lives as long as `self`.
            Err(_) => Permit(None),
        }
    }

    /// Gives a place to the next in turn, or keeps it free.
    fn give_back(self) {
        let mut permit = Permit(Some(self));
        while let Some(places) = permit.0.take() {
            let Some(next) = places.0.lock().next() else {
                return;
            };
            match next.send(Permit(Some(places))) {
                Ok(()) => return,
                // They no longer wait.
                Err(back) => permit = back,
            }
        }
    }
}

impl State {
    /// Who is next; counts the place as free if nobody is.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let Some(caller) = self.turns.pop_front() else {
            self.free += 1;
            return None;
        };
        let queue = self.waiting.get_mut(&caller)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&caller);
        } else {
            self.turns.push_back(caller);
        }
        next
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    fn user(n: u128) -> Caller {
        Some(UserId::from_u128(n))
    }

    /// Begins to wait.
    async fn waits(
        places: &Places,
        caller: Caller,
    ) -> std::pin::Pin<Box<impl Future<Output = Permit> + use<>>> {
        let places = places.clone();
        let mut waiting = Box::pin(async move { places.take(caller).await });
        let first = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "no place is free");
        waiting
    }

    #[tokio::test]
    async fn callers_take_turns_however_many_calls_one_has_waiting() {
        let places = Places::new(1);
        let mut held = places.try_take().unwrap();
        let mut annas = VecDeque::new();
        for _ in 0..100 {
            annas.push_back(waits(&places, user(1)).await);
        }
        let bertils = waits(&places, user(2)).await;
        let nobodys = waits(&places, None).await;
        drop(std::mem::replace(&mut held, Permit(None)));
        held = annas.pop_front().unwrap().await;
        drop(std::mem::replace(&mut held, Permit(None)));
        held = bertils.await;
        drop(std::mem::replace(&mut held, Permit(None)));
        held = nobodys.await;
        drop(held);
        for anna in annas {
            drop(anna.await);
        }
        assert!(places.try_take().is_some(), "the place is free again");
        assert!(places.0.lock().waiting.is_empty() && places.0.lock().turns.is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_takes_no_place_along() {
        let places = Places::new(1);
        let held = places.try_take().unwrap();
        let gone = waits(&places, user(1)).await;
        let stays = waits(&places, user(2)).await;
        drop(gone);
        drop(held);
        let held = stays.await;
        // Given a place and gone before taking it.
        let gone = waits(&places, user(1)).await;
        drop(held);
        drop(gone);
        assert!(places.try_take().is_some());
    }

    #[tokio::test]
    async fn all_places_can_be_held_at_once_and_no_more() {
        let places = Places::new(3);
        let held: Vec<_> = (0..3).map(|_| places.try_take().unwrap()).collect();
        assert!(places.try_take().is_none());
        let waiting = waits(&places, user(1)).await;
        drop(held);
        drop(waiting.await);
        let all: Vec<_> = (0..3).map(|_| places.try_take().unwrap()).collect();
        assert_eq!((all.len(), places.try_take().is_some()), (3, false));
    }
}
