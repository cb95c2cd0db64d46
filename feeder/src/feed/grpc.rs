//! The feed's one method over gRPC: messages ready for the wire, and how they go out.
//!
//! Tonic's own server would write each message anew for each stream, and keep a buffer of the largest one's size for as long as the
//! stream is open. Here a message is written once, and the same bytes go out on every stream.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Bytes, Frame};
use prost::Message as _;
use scimesh_proto::codec::SmallBuffers;
use scimesh_proto::wire::v1;
use scimesh_proto::wire::v1::feeder_message::Message;
use tokio::sync::mpsc;
use tonic::codec::Codec as _;
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic::{Status, Streaming};
use tower::Service;

use super::FeedService;

/// Bytes of a filter's message at most: a hello with the longest scope.
const MAX_INBOUND: usize = 2 << 20;

/// Before each message: a byte that says "not compressed", and the message's length.
pub(crate) const PREFIX: usize = 5;

/// A message with its prefix.
pub(super) fn framed(message: Message) -> Bytes {
    let message = v1::FeederMessage {
        message: Some(message),
    };
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(PREFIX + length);
    bytes.push(0);
    bytes.extend((length as u32).to_be_bytes());
    message.encode_raw(&mut bytes);
    bytes.into()
}

/// What a filter reads in it.
#[cfg(test)]
pub(super) fn unframed(mut framed: Bytes) -> v1::FeederMessage {
    let message = framed.split_off(PREFIX);
    assert_eq!(framed[0], 0);
    assert_eq!(framed[1..], (message.len() as u32).to_be_bytes());
    v1::FeederMessage::decode(message).unwrap()
}

/// What a stream sends on.
pub(super) type Outbound = mpsc::Sender<Result<Bytes, Status>>;

/// What a stream receives.
pub(super) type Inbound = Streaming<v1::FilterMessage>;

/// The messages of a stream as a response's body.
struct Outgoing {
    messages: mpsc::Receiver<Result<Bytes, Status>>,
    ended: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.messages.poll_recv(context)) {
            Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        let written = status.add_header(&mut trailers);
        Poll::Ready(Some(written.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// What tonic serves.
#[derive(Debug, Clone)]
pub struct FeedServer(pub(super) FeedService);

impl NamedService for FeedServer {
    const NAME: &'static str = "scimesh.feed.v1.Feed";
}

impl<B> Service<Request<B>> for FeedServer
where
    B: Body + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() != "/scimesh.feed.v1.Feed/Stream" {
            return ready(Ok(Status::unimplemented("no such method").into_http()));
        }
        let (head, body) = request.into_parts();
        let decoder = SmallBuffers::<v1::FeederMessage, v1::FilterMessage>::default().decoder();
        let inbound = Streaming::new_request(decoder, body, None, Some(MAX_INBOUND));
        ready(Ok(match self.0.open(&head, inbound) {
            Ok(messages) => {
                let ended = false;
                let body = tonic::body::Body::new(Outgoing { messages, ended });
                let mut response = Response::new(body);
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
                response
            }
            Err(status) => status.into_http(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_goes_out_as_it_is_and_the_status_after_it() {
        let (send, messages) = mpsc::channel(4);
        let ended = false;
        let mut body = Outgoing { messages, ended };
        let pong = framed(Message::Pong(v1::Pong::default()));
        send.try_send(Ok(pong.clone())).unwrap();
        send.try_send(Err(Status::unavailable("going down")))
            .unwrap();
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data.as_ptr(), pong.as_ptr());
        assert!(!body.is_end_stream());
        let trailers = body.frame().await.unwrap().unwrap();
        let trailers = trailers.into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "14");
        assert_eq!(trailers["grpc-message"], "going%20down");
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_ends_by_itself_ends_well() {
        let (send, messages) = mpsc::channel(4);
        let ended = false;
        let mut body = Outgoing { messages, ended };
        drop(send);
        let trailers = body.frame().await.unwrap().unwrap();
        assert_eq!(trailers.into_trailers().unwrap()["grpc-status"], "0");
    }
}
