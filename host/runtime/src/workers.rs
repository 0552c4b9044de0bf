//! The threads of plugins: workers that run nothing else, and the tick that reminds a running guest to give way.

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::EngineWeak;

use crate::RuntimeError;
use crate::engine::Engines;

/// How long a guest runs before it is asked to give way. Shorter costs, longer is felt by its neighbours.
const TICK: Duration = Duration::from_millis(2);

/// Polls between looks at timers and wake-ups. tokio's 61 would let 61 slow guests pass first.
const EVENT_INTERVAL: u32 = 2;

/// Polls of a worker's own queue between looks at what came from outside.
const GLOBAL_QUEUE_INTERVAL: u32 = 4;

/// Runs plugins until it is dropped.
pub(crate) struct Workers {
    // Taken at the end: a tokio runtime must not be dropped where async code runs.
    runtime: Option<Runtime>,
}

impl Workers {
    pub(crate) fn start(threads: usize, engines: &Engines) -> Result<Self, RuntimeError> {
        let failed = |error: std::io::Error| RuntimeError::Engine {
            doing: "starting the plugin workers",
            why: error.to_string(),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("vaxel-plugin")
            .event_interval(EVENT_INTERVAL)
            .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
            .enable_time()
            .build()
            .map_err(failed)?;
        let engines = [engines.calls.weak(), engines.once.weak()];
        // Ends with the engines, which guests that still run keep: without a tick they would never end.
        std::thread::Builder::new()
            .name("vaxel-tick".to_owned())
            .spawn(move || {
                let tick = |engine: &EngineWeak| engine.upgrade().map(|e| e.increment_epoch());
                while engines.iter().filter_map(tick).count() > 0 {
                    std::thread::sleep(TICK);
                }
            })
            .map_err(failed)?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Where plugins run. `None` only while everything ends.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        self.runtime.as_ref().map(Runtime::handle)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
