//! The host's side: starts a compiler, gives it one component, takes its answer or ends it.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::{
    ANSWER_CODE, ANSWER_REFUSED, CODE_BYTES_MAX, Compiler, CompilerError, WORDS_BYTES_MAX,
};
use crate::RuntimeError;

/// How often it is looked whether a compiler has ended.
const LOOK: Duration = Duration::from_millis(2);

impl Compiler {
    /// Machine code for a component. Blocks.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        reservation: u64,
        component: &[u8],
    ) -> Result<Vec<u8>, RuntimeError> {
        match self {
            Self::Here => engine
                .precompile_component(component)
                .map_err(|error| RuntimeError::component(format!("{error:#}"))),
            Self::Child {
                program,
                args,
                limit_ms,
            } => {
                let settings = reservation.to_string();
                let args = args.iter().chain([&settings]);
                match in_child(program, args, *limit_ms, component) {
                    Err(CompilerError::Refused { what }) => Err(RuntimeError::component(what)),
                    answer => Ok(answer?),
                }
            }
        }
    }
}

fn in_child(
    program: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    limit_ms: u64,
    component: &[u8],
) -> Result<Vec<u8>, CompilerError> {
    let not_started = |error: io::Error| CompilerError::NotStarted {
        why: error.to_string(),
    };
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a component makes the compiler say is nothing for our log.
        .stderr(Stdio::null())
        .spawn()
        .map_err(not_started)?;
    let deadline = Instant::now() + Duration::from_millis(limit_ms);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (tell, told) = mpsc::channel();
    let answered = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // One that does not want to hear more has an answer, or is gone.
                let _ = stdin.write_all(component);
            }
        });
        scope.spawn(move || {
            let mut answer = Vec::new();
            let read = stdout.map_or(Ok(0), |stdout| {
                stdout.take(CODE_BYTES_MAX + 1).read_to_end(&mut answer)
            });
            let _ = tell.send(read.map(|_| answer));
        });
        let answer = told.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let status = match &answer {
            Ok(Ok(answer)) if answer.len() as u64 <= CODE_BYTES_MAX => wait(&mut child, deadline),
            _ => None,
        };
        if status.is_none() {
            // Its pipes close with it, which ends the two threads.
            let _ = child.kill();
            let _ = child.wait();
        }
        (answer, status)
    });
    match answered {
        (Err(_), _) | (Ok(Ok(_)), None) if Instant::now() >= deadline => {
            Err(CompilerError::TooSlow { limit_ms })
        }
        (Ok(Ok(answer)), Some(status)) => taken(answer, status),
        (Ok(Ok(_)), None) => Err(CompilerError::Answer {
            what: "more than there can be",
        }),
        _ => Err(CompilerError::Answer { what: "nothing" }),
    }
}

fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => return None,
        }
    }
}

fn taken(mut answer: Vec<u8>, status: ExitStatus) -> Result<Vec<u8>, CompilerError> {
    if !status.success() {
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, code) => format!("exit code {}", code.unwrap_or_default()),
        };
        return Err(CompilerError::Died { how });
    }
    match answer.first() {
        Some(&ANSWER_CODE) if answer.len() > 1 => {
            answer.remove(0);
            Ok(answer)
        }
        Some(&ANSWER_REFUSED) => {
            let words = usize::try_from(WORDS_BYTES_MAX).unwrap_or_default();
            let what: Vec<u8> = answer.into_iter().skip(1).take(words).collect();
            Err(CompilerError::Refused {
                what: String::from_utf8_lossy(&what).into_owned(),
            })
        }
        _ => Err(CompilerError::Answer {
            what: "something else than code",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(script: &str, limit_ms: u64) -> Result<Vec<u8>, CompilerError> {
        let args = ["-c", script];
        in_child(Path::new("/bin/sh"), args, limit_ms, &[7; 100_000])
    }

    #[test]
    fn a_compiler_that_dies_hangs_or_babbles_is_a_typed_error() {
        let minute = 60_000;
        let signal = |n: u8| CompilerError::Died {
            how: format!("signal {n}"),
        };
        assert_eq!(asked("kill -9 $$", minute), Err(signal(9)));
        assert_eq!(asked("kill -6 $$", minute), Err(signal(6)));
        assert_eq!(
            asked("exit 3", minute),
            Err(CompilerError::Died {
                how: "exit code 3".to_owned()
            })
        );
        assert!(matches!(
            asked("exec sleep 1000", 200),
            Err(CompilerError::TooSlow { limit_ms: 200 })
        ));
        // It has said all it has to say, and stays.
        assert!(matches!(
            asked("exec >&-; exec sleep 1000", 200),
            Err(CompilerError::TooSlow { limit_ms: 200 })
        ));
        assert!(matches!(
            asked("echo code", minute),
            Err(CompilerError::Answer { .. })
        ));
        assert!(matches!(
            asked("true", minute),
            Err(CompilerError::Answer { .. })
        ));
        assert_eq!(
            asked("printf '\\001no component'", minute),
            Err(CompilerError::Refused {
                what: "no component".to_owned()
            })
        );
        assert!(matches!(
            in_child(Path::new("/nowhere"), [""; 0], minute, &[]),
            Err(CompilerError::NotStarted { .. })
        ));
    }

    #[test]
    fn an_answer_without_end_is_cut_off() {
        assert!(matches!(
            asked("exec cat /dev/zero", 600_000),
            Err(CompilerError::Answer { .. })
        ));
    }

    #[test]
    fn the_child_has_no_environment_and_hears_the_whole_component() {
        let answer = asked(
            "printf '\\000'; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=; wc -c",
            60_000,
        );
        let text = String::from_utf8(answer.unwrap()).unwrap();
        assert_eq!(text.trim(), "100000");
    }
}
