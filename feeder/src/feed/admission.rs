//! Who may be sent a snapshot now: a few at a time, so that a thousand proxies that come at once neither fill the
//! network nor keep small changes from those that are current. Of those who wait, whoever came last goes first: the need
//! of those before may be over.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: Vec<oneshot::Sender<Turn>>,
}

/// The right to send. It goes to the next when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Admission>);

impl Admission {
    /// At most so many turns at a time.
    pub(super) fn new(turns: usize) -> Admission {
        Admission(Arc::new(Mutex::new(State {
            free: turns,
            waiting: Vec::new(),
        })))
    }

    /// Asks for a pass, which comes at once or later. Dropping the receiver withdraws.
    pub(super) fn ask(&self) -> oneshot::Receiver<Turn> {
        let (give, pass) = oneshot::channel();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.free > 0 {
            state.free -= 1;
            // It can't be gone yet.
            let _ = give.send(Turn(Some(self.clone())));
        } else {
            state.waiting.retain(|waiting| !waiting.is_closed());
            state.waiting.push(give);
        }
        pass
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(admission) = self.0.take() else {
            return;
        };
        let mut state = admission.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(next) = state.waiting.pop() {
            match next.send(Turn(Some(admission.clone()))) {
                Ok(()) => return,
                Err(mut unwanted) => drop(mem::take(&mut unwanted.0)),
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_came_last_goes_first_and_nobody_beyond_the_bound() {
        let admission = Admission::new(2);
        let first = admission.ask().try_recv().unwrap();
        let _second = admission.ask().try_recv().unwrap();
        let mut third = admission.ask();
        let mut fourth = admission.ask();
        assert!(third.try_recv().is_err() && fourth.try_recv().is_err());
        drop(first);
        assert!(third.try_recv().is_err());
        let fourth = fourth.try_recv().unwrap();
        drop(fourth);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn whoever_has_gone_is_passed_over_and_no_pass_is_lost() {
        let admission = Admission::new(1);
        for _ in 0..3 {
            let pass = admission.ask().try_recv().unwrap();
            let mut waits = admission.ask();
            drop(admission.ask());
            // Given, and never taken.
            let given = admission.ask();
            drop(pass);
            drop(given);
            drop(waits.try_recv().unwrap());
        }
        assert!(admission.ask().try_recv().is_ok());
    }
}
