//! gRPC's health protocol on the feed's port: serving while the feeder is ready. It is asked each time, so nothing has to keep it in
//! step, and `Watch` is not implemented, as the protocol allows: it would be a stream for anybody who can connect.

use std::pin::Pin;

use futures::Stream;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::WhyNot;
use crate::feed::FeedServer;

pub(super) struct Health {
    unready: WhyNot,
}

impl Health {
    pub(super) fn new(unready: WhyNot) -> Health {
        Health { unready }
    }

    pub(super) fn server(self) -> HealthServer<Health> {
        HealthServer::new(self)
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        // The empty name is the server's.
        let known = ["", FeedServer::NAME];
        if !known.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("no such service"));
        }
        let status = match (self.unready)() {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        Ok(Response::new(HealthCheckResponse {
            status: status.into(),
        }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask with Check"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use health_server::Health as _;

    use super::*;

    #[tokio::test]
    async fn it_serves_while_the_feeder_is_ready() {
        let lost = Arc::new(AtomicBool::new(false));
        let asked = lost.clone();
        let health = Health::new(Arc::new(move || {
            asked.load(Ordering::Relaxed).then(|| "lost".to_owned())
        }));
        let check = async || {
            let request = Request::new(HealthCheckRequest::default());
            health.check(request).await.unwrap().into_inner().status()
        };
        assert_eq!(check().await, ServingStatus::Serving);
        lost.store(true, Ordering::Relaxed);
        assert_eq!(check().await, ServingStatus::NotServing);
    }
}
