//! How a socket ends after an error: the close code that says what was wrong, then a bounded wait for the answer.

use futures_util::SinkExt as _;
use yawc::close::CloseCode;
use yawc::{Frame, HttpWebSocket, WebSocketError};

/// The close code (RFC 6455, section 7.4.1) for what the other side did wrong; `None` when it left or broke off.
fn code_for(error: &WebSocketError) -> Option<CloseCode> {
    match error {
        WebSocketError::FrameTooLarge => Some(CloseCode::Size),
        WebSocketError::InvalidUTF8 => Some(CloseCode::Invalid),
        WebSocketError::InvalidOpCode(_)
        | WebSocketError::ReservedBitsNotZero
        | WebSocketError::ControlFrameFragmented
        | WebSocketError::PingFrameTooLarge
        | WebSocketError::InvalidFragment
        | WebSocketError::InvalidCloseFrame
        | WebSocketError::InvalidCloseCode
        | WebSocketError::FragmentTimeout
        | WebSocketError::InvalidContinuationFrame
        | WebSocketError::CompressionNotSupported => Some(CloseCode::Protocol),
        _ => None,
    }
}

/// Answers a broken protocol with its close code and ends the connection.
///
/// The library closes by itself after some errors and not after others (a wrong fragment, text that is not UTF-8);
/// whichever close frame comes first counts, and both carry the same code.
pub async fn part_after(
    socket: &mut HttpWebSocket,
    error: &WebSocketError,
) -> Result<(), WebSocketError> {
    if let Some(code) = code_for(error) {
        // Fails where the library has closed already; then its own frame is on the way.
        let _ = socket.send(Frame::close(code, "")).await;
    }
    socket.close().await
}
