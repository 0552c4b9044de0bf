//! The admin socket: operations for the running server, from its own user only, a line of JSON each way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::house::House;
use crate::operation::Operation;
use crate::output::{self, Progress};

/// The longest line that is read: an operation is small.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The longest answer that is read: a list of all people of an organization.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How often progress is told, at most.
const PROGRESS_EVERY_MS: u64 = 200;

/// What the server says back: any number of `Progress`, then one of the others.
#[derive(Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Answer {
    Progress { done: u64, total: u64 },
    Done { result: Value },
    Failed { error: String },
}

fn socket_path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// A connection to the server that runs on this data directory.
pub(crate) struct Server(UnixStream);

/// Connects, if a server runs there.
pub(crate) async fn connect(data: &Path) -> anyhow::Result<Option<Server>> {
    match UnixStream::connect(socket_path(data)).await {
        Ok(stream) => Ok(Some(Server(stream))),
        // A socket that nobody listens on was left by a server that was killed.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            bail!(
                "the server on {} belongs to another user; run this as that user",
                data.display()
            )
        }
        Err(error) => Err(error).context("connecting to the server's admin socket"),
    }
}

impl Server {
    pub(crate) async fn ask(
        self,
        operation: &Operation,
        progress: &Progress,
    ) -> anyhow::Result<Value> {
        let (read, mut write) = self.0.into_split();
        write
            .write_all(&line(operation)?)
            .await
            .context("asking the server")?;
        let mut lines = BufReader::new(read.take(ANSWER_BYTES_MAX)).lines();
        while let Some(line) = lines
            .next_line()
            .await
            .context("reading the server's answer")?
        {
            match serde_json::from_str(&line).context("the server's answer")? {
                Answer::Progress { done, total } => progress.set(done, total),
                Answer::Done { result } => return Ok(result),
                Answer::Failed { error } => bail!("{error}"),
            }
        }
        bail!("the server ended before it answered; it may or may not have carried this out")
    }
}

fn line(message: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Serves the socket until `stop`. The listener is bound by [`bind`].
pub(crate) async fn serve(listener: UnixListener, house: Arc<House>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: wait instead of spinning.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            if let Err(error) = Box::pin(converse(stream, &house)).await {
                tracing::debug!("admin socket: {error:#}");
            }
        });
    }
}

/// Binds the socket, mode 0600. The storage's lock is held by then, so a socket found there is a dead one.
pub(crate) fn bind(data: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = socket_path(data);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).context("removing a left-over admin socket");
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("binding the admin socket {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(stream: UnixStream, house: &House) -> anyhow::Result<()> {
    let peer = stream.peer_cred().context("who is asking")?.uid();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&house.data)?);
    if peer != owner && peer != 0 {
        tracing::warn!(
            peer.uid = peer,
            "the admin socket was asked by another user and refused"
        );
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut request = String::new();
    BufReader::new(read.take(LINE_BYTES_MAX))
        .read_line(&mut request)
        .await?;
    let answer = match serde_json::from_str::<Operation>(&request) {
        Ok(operation) => perform(operation, house, &mut write).await?,
        Err(error) => Answer::Failed {
            error: format!("not an operation of this version: {error}"),
        },
    };
    write.write_all(&line(&answer)?).await?;
    Ok(())
}

/// Performs the operation, telling its progress meanwhile.
async fn perform(
    operation: Operation,
    house: &House,
    write: &mut OwnedWriteHalf,
) -> anyhow::Result<Answer> {
    let progress = Progress::silent();
    let mut work = Box::pin(operation.perform(house, &progress));
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(PROGRESS_EVERY_MS));
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            _ = tick.tick() => {
                let (done, total) = progress.get();
                if total > 0 {
                    // Somebody who hung up loses only the view: what was begun is finished.
                    let _ = write.write_all(&line(&Answer::Progress { done, total })?).await;
                }
            }
        }
    };
    Ok(match outcome {
        Ok(result) => Answer::Done { result },
        Err(error) => Answer::Failed {
            error: output::in_words(&error),
        },
    })
}
