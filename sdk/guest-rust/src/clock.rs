//! The one clock.

/// Milliseconds since 1970 at which the host took the call; the same for the whole call.
pub fn now_ms() -> u64 {
    crate::host::now_ms()
}
