//! One connection as the server sees it: its stream and its bodies say which phase it is in.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::refusal::Refusal;
use super::registry::{Phase, State};

/// The stream of a connection.
///
/// hyper answers a head that it cannot read by itself, with a status and no body. Such an answer is the only thing that
/// is written while no request is in progress: it is replaced by `refusal`.
pub(super) struct WatchedStream {
    stream: TcpStream,
    state: Arc<State>,
    refusal: Refusal,
    /// The refusal, as far as it is not written yet.
    unwritten: Option<Vec<u8>>,
}

impl WatchedStream {
    pub(super) fn new(stream: TcpStream, state: Arc<State>, refusal: Refusal) -> Self {
        Self { stream, state, refusal, unwritten: None }
    }

    fn is_between_requests(&self) -> bool {
        matches!(self.state.phase(), Phase::Head | Phase::Idle)
    }

    fn replace(&mut self, answer: &[u8]) {
        if self.unwritten.is_some() {
            return;
        }
        // "HTTP/1.1 431 …"
        let code = answer.get(9..12).and_then(|code| StatusCode::from_bytes(code).ok());
        self.unwritten = Some(self.refusal.bytes(code.unwrap_or(StatusCode::BAD_REQUEST)));
    }

    fn poll_write_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(unwritten) = self.unwritten.as_mut().filter(|unwritten| !unwritten.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, unwritten))?;
            unwritten.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.state.step(Phase::Idle, Phase::Head);
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_between_requests() {
            self.replace(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_between_requests() {
            self.replace(slices.first().map(|slice| &**slice).unwrap_or_default());
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_refusal(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // Everything that hyper had is with the system now.
        self.state.step(Phase::Flush, Phase::Idle);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_refusal(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body. Once it is read or given up, the work begins.
pub(super) struct RequestBody {
    body: Incoming,
    state: Arc<State>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, state: &Arc<State>) -> Self {
        state.enter(if body.is_end_stream() { Phase::Work } else { Phase::Body });
        Self { body, state: Arc::clone(state) }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.state.step(Phase::Body, Phase::Work);
    }
}

/// An answer's body. hyper drops it when it has taken everything.
pub(super) struct AnswerBody {
    body: Body,
    state: Arc<State>,
}

impl AnswerBody {
    pub(super) fn new(body: Body, state: &Arc<State>) -> Self {
        Self { body, state: Arc::clone(state) }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.state.step(Phase::Answer, Phase::Flush);
    }
}
