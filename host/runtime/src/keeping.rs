//! Parts of the server that must go on: one that breaks is begun again, each time with an alarm.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use vaxel_core::{AlarmLevel, Alarms};

/// The pause before a part is begun again; each following is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Runs a part of the server until it ends by itself. If it panics it is begun again from what is stored, and somebody
/// is told. It ends with whoever waits for this.
pub async fn keep_going<F>(part: &'static str, alarms: Arc<dyn Alarms>, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut pause = PAUSE_FIRST;
    loop {
        let running = Running(tokio::spawn(begin()));
        if running.ends().await {
            return;
        }
        let detail = format!("{part} broke and is begun again; the log says why");
        alarms.raise(AlarmLevel::Critical, "server.part_failed", &detail);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A task that ends with this.
struct Running(JoinHandle<()>);

impl Running {
    /// Waits for its end; whether it did not break.
    async fn ends(mut self) -> bool {
        (&mut self.0).await.is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use parking_lot::Mutex;
    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct Raised(Mutex<Vec<&'static str>>);

    impl Alarms for Raised {
        fn raise(&self, _: AlarmLevel, code: &'static str, _: &str) {
            self.0.lock().push(code);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_breaks_is_begun_again_with_an_alarm_until_it_ends() {
        let alarms = Arc::new(Raised::default());
        let begun = Arc::new(AtomicU32::new(0));
        let begin = || {
            let begun = Arc::clone(&begun);
            async move {
                assert!(begun.fetch_add(1, Ordering::Relaxed) >= 12, "on purpose");
            }
        };
        let raised = Arc::clone(&alarms) as Arc<dyn Alarms>;
        keep_going("the test", raised, begin).await;
        assert_eq!(begun.load(Ordering::Relaxed), 13);
        assert_eq!(*alarms.0.lock(), ["server.part_failed"; 12]);
    }

    #[tokio::test]
    async fn a_part_ends_with_whoever_keeps_it() {
        let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        struct Ends(Arc<Notify>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let begin = || {
            let (begun, ends) = (Arc::clone(&begun), Ends(Arc::clone(&ended)));
            async move {
                begun.notify_one();
                std::future::pending::<()>().await;
                drop(ends);
            }
        };
        let alarms = Arc::new(Raised::default());
        tokio::select! {
            () = keep_going("the test", Arc::clone(&alarms) as Arc<dyn Alarms>, begin) => unreachable!("it has no end"),
            () = begun.notified() => {}
        }
        ended.notified().await;
        assert!(alarms.0.lock().is_empty(), "that is no fault");
    }
}
