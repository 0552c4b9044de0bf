//! The child's side: gives everything away, reads a component, answers code.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use super::confine;
use super::{ANSWER_CODE, ANSWER_REFUSED, COMPONENT_BYTES_MAX, WORDS_BYTES_MAX};
use crate::engine;

/// The smallest component: compiled before the process is confined, so that whatever is made on first use is there.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Compiles the component on standard input to standard output, then ends. `settings` is what came behind the
/// command. Must be called before the process has threads, files or secrets.
pub fn compile_in_this_process(settings: &[String]) -> ExitCode {
    match answer(settings) {
        Ok(()) => ExitCode::SUCCESS,
        // The host says what it means; nobody reads more than the code.
        Err(code) => ExitCode::from(code),
    }
}

fn answer(settings: &[String]) -> Result<(), u8> {
    let [reservation] = settings else {
        return Err(2);
    };
    let reservation = reservation.parse().map_err(|_| 2)?;
    confine::let_go_of_everything().map_err(|_| 3)?;
    let engine = engine::compiling(reservation).map_err(|_| 4)?;
    let _ = engine.precompile_component(EMPTY_COMPONENT);
    confine::filter_system_calls().map_err(|_| 5)?;

    let mut component = Vec::new();
    let limit = u64::try_from(COMPONENT_BYTES_MAX).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(limit.saturating_add(1))
        .read_to_end(&mut component)
        .map_err(|_| 6)?;
    let compiled = if component.len() > COMPONENT_BYTES_MAX {
        Err(format!("larger than {COMPONENT_BYTES_MAX} bytes"))
    } else {
        let code = engine.precompile_component(&component);
        code.map_err(|error| format!("{error:#}"))
    };
    let mut out = std::io::stdout().lock();
    let written = match compiled {
        Ok(code) => out
            .write_all(&[ANSWER_CODE])
            .and_then(|()| out.write_all(&code)),
        Err(words) => {
            let len = usize::try_from(WORDS_BYTES_MAX).unwrap_or_default();
            let words: Vec<u8> = words.into_bytes().into_iter().take(len).collect();
            out.write_all(&[ANSWER_REFUSED])
                .and_then(|()| out.write_all(&words))
        }
    };
    written.and_then(|()| out.flush()).map_err(|_| 7)
}
