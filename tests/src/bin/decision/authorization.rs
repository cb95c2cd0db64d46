//! An ext_authz server that does nothing: every check is OK.
//!
//! Its messages are empty ones here: what Envoy sends is parsed and skipped, and a response without a status is one with
//! the status OK.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use scimesh_tests::address;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_prost::ProstCodec;

/// A running server; it ends when it is dropped.
pub(crate) struct Authorization {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Authorization {
    pub(crate) async fn start() -> Result<Authorization> {
        let address = address::free()?;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("ext_authz on {address}"))?;
        let asked = Arc::new(AtomicU64::new(0));
        let check = Check(asked.clone());
        let server = tokio::spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            // It ends with the task; what goes wrong before that, Envoy refuses requests for.
            let _ = Server::builder()
                .add_service(check)
                .serve_with_incoming(incoming)
                .await;
        });
        Ok(Authorization {
            address,
            asked,
            server,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many checks it has answered.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Authorization {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The service, and its one method.
#[derive(Clone)]
struct Check(Arc<AtomicU64>);

impl NamedService for Check {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl Service<http::Request<Body>> for Check {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let check = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<(), ()>::default());
            Ok(grpc.unary(check, request).await)
        })
    }
}

impl UnaryService<()> for Check {
    type Response = ();
    type Future = Ready<Result<tonic::Response<()>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<()>) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        ready(Ok(tonic::Response::new(())))
    }
}
