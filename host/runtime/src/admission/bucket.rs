//! A token bucket: so many calls at once, so many per second on average.

use std::time::Instant;

pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            per_second: f64::from(per_second.max(1)),
            burst,
            tokens: burst,
            filled_at: Instant::now(),
        }
    }

    /// Takes a token, or says in how many milliseconds there will be one.
    pub(crate) fn take(&mut self) -> Result<(), u32> {
        let now = Instant::now();
        let since = now.duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens = since.mul_add(self.per_second, self.tokens).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait_ms = (1.0 - self.tokens) / self.per_second * 1_000.0;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 1000: a token is never more than a second away"
        )]
        let wait_ms = wait_ms.ceil().clamp(1.0, 1_000.0) as u32;
        Err(wait_ms)
    }
}
