//! What goes on until the last byte of an answer is out.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use dictum_service::Work;
use http_body::{Frame, SizeHint};

/// A body that holds on to something until it has been sent or given up.
pub(crate) struct Holding {
    body: Body,
    /// Dropped with the body, which is what it is for.
    _work: Work,
}

impl Holding {
    /// `body`, under way as long as it lasts.
    pub(crate) fn new(body: Body, work: Work) -> Holding {
        Holding { body, _work: work }
    }
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
