//! The host's context of one policy: reads it, and drives the feed's stream if that is this context's to drive.
//!
//! Envoy leaves a filter that fails to configure on a worker out of the chain, silently. So `on_configure` fails only on a
//! policy that does not parse, which fails in the same way in Envoy's validation, before any worker sees it. Whatever
//! else goes wrong leaves a context without a plugin, and such a one refuses every request.

use std::rc::Rc;
use std::time::Duration;

use prost::Message;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use scimesh_engine::{Mode, Moment, Policy};
use scimesh_proto::wire::v1::filter_message::Message as Outgoing;
use scimesh_proto::wire::v1::{FilterMessage, Node};

use crate::host::{self, HostError};
use crate::http::Http;
use crate::logs::{self, Subject};
use crate::session::Step;
use crate::vm::{self, Plugin};
use crate::{cut, request, stats};

/// When a stream is opened after a policy came: not from within `on_configure`, which Envoy's validation runs, too, in a
/// VM that never ticks. Until there is content, requests wait.
const FIRST_TICK: Duration = Duration::from_millis(1);
/// How often what is due is looked at: pings, the end of holds, back-off.
const TICK: Duration = Duration::from_millis(100);
/// The same while a large change is worked in, or requests are asked again and ended, a few with each tick. Never from within a
/// message's callback: where Envoy resets a stream at once, that calls back into the SDK, which has a hold on its contexts there.
const BUSY_TICK: Duration = Duration::from_millis(1);

const SERVICE: &str = "scimesh.feed.v1.Feed";
const METHOD: &str = "Stream";

/// One policy.
pub(crate) struct Root {
    id: u32,
    plugin: Option<Rc<Plugin>>,
    /// None before the first tick.
    tick: Option<Duration>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Root {
        Root {
            id,
            plugin: None,
            tick: None,
        }
    }

    fn configure(&mut self, policy: Policy) -> Result<(), HostError> {
        let shadow = policy.mode() == Mode::Shadow;
        let started = host::set_tick_period(FIRST_TICK).and_then(|()| host::now());
        let now = match started {
            Ok(now) => now,
            // Nothing comes of the feed then, and nothing needs to: a SHADOW policy refuses for no reason.
            Err(_) if shadow => Moment::default(),
            Err(error) => return Err(error),
        };
        self.plugin = Some(vm::with(|vm| vm.join(self.id, policy, now)));
        started.map(drop)
    }

    fn tick(&mut self) -> Result<(), HostError> {
        self.settle()?;
        let now = host::now()?;
        match vm::with(|vm| vm.step(self.id, now)) {
            Step::Wait => {}
            Step::Open => self.open(now)?,
            Step::Ping { stream, ping } => send(stream, Outgoing::Ping(ping))?,
            Step::Cancel { stream } => {
                let line = "the feeder is silent; reconnecting";
                logs::write(Subject::Stream, LogLevel::Warn, line);
                host::cancel_grpc_stream(stream);
            }
        }
        if let Some((stream, report)) = vm::with(|vm| vm.report(self.id, now)) {
            send(stream, report)?;
        }
        request::settle(self.id, now);
        vm::with(|vm| stats::tick(vm, now))
    }

    /// Works in some of what has changed.
    fn settle(&self) -> Result<(), HostError> {
        match vm::with(|vm| vm.settle(self.id)) {
            Some((stream, answer)) => self.answer(stream, answer),
            None => Ok(()),
        }
    }

    /// Ticks as often as what is left to do needs.
    fn pace(&mut self) -> Result<(), HostError> {
        let busy = vm::with(|vm| vm.is_busy(self.id));
        let tick = if busy { BUSY_TICK } else { TICK };
        if self.tick != Some(tick) {
            host::set_tick_period(tick)?;
            self.tick = Some(tick);
        }
        Ok(())
    }

    /// Answers the feeder, and notes how long an update took if it is one's acknowledgement.
    fn answer(&self, stream: u32, answer: Outgoing) -> Result<(), HostError> {
        if let Outgoing::Ack(_) = answer {
            let now = host::now()?;
            vm::with(|vm| match vm.led_by(self.id) {
                Some(feed) => stats::applied(feed, now),
                None => Ok(()),
            })?;
        }
        send(stream, answer)
    }

    fn open(&self, now: Moment) -> Result<(), HostError> {
        let Some(target) = vm::with(|vm| vm.led_by(self.id).map(|feed| feed.target().clone()))
        else {
            return Ok(());
        };
        let service = wire::GrpcService {
            envoy_grpc: Some(wire::EnvoyGrpc {
                cluster_name: target.cluster.clone(),
                authority: target.authority,
            }),
        };
        match host::open_grpc_stream(&service.encode_to_vec(), SERVICE, METHOD) {
            Ok(stream) => {
                let node = node();
                let first = vm::with(|vm| vm.opened(self.id, stream, node, now));
                for message in first.into_iter().flatten() {
                    send(stream, message)?;
                }
            }
            Err(_) => {
                let missing = !host::cluster_exists(&target.cluster);
                if vm::with(|vm| vm.failed(self.id, missing, now)) && missing {
                    let line = format!("Envoy has no cluster {:?}", target.cluster);
                    logs::write(Subject::Stream, LogLevel::Error, &line);
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, stream: u32, size: usize) -> Result<(), HostError> {
        let now = host::now()?;
        let message = host::grpc_message(size)?;
        let answer = vm::with(|vm| vm.receive(self.id, stream, message, now));
        if let Some(Outgoing::Nack(nack)) = &answer {
            let line = format!("update refused: {:?}: {}", nack.reason(), nack.detail);
            logs::write(Subject::Update, LogLevel::Warn, &line);
        }
        if let Some(answer) = answer {
            self.answer(stream, answer)?;
        }
        self.settle()?;
        request::settle(self.id, now);
        Ok(())
    }

    fn closed(&self, stream: u32, status: u32) -> Result<(), HostError> {
        let message = host::grpc_status_message().unwrap_or_default();
        host::cancel_grpc_stream(stream);
        let now = host::now()?;
        if vm::with(|vm| vm.closed(self.id, stream, now)) {
            let message = String::from_utf8_lossy(&message);
            let line = format!("the feed ended with gRPC status {status}: {message:.200}");
            logs::write(Subject::Stream, LogLevel::Warn, &line);
        }
        Ok(())
    }
}

impl Context for Root {
    fn on_grpc_stream_message(&mut self, stream: u32, size: usize) {
        report(self.receive(stream, size));
        report(self.pace());
    }

    fn on_grpc_stream_close(&mut self, stream: u32, status: u32) {
        report(self.closed(stream, status));
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        true
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let parsed = match host::plugin_configuration(size) {
            Ok(bytes) => Policy::parse(&bytes),
            Err(error) => {
                report(Err(error));
                return true;
            }
        };
        match parsed {
            Ok(policy) => {
                report(self.configure(policy));
                true
            }
            Err(error) => {
                host::log(LogLevel::Critical, &format!("scimesh: the policy: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        report(self.tick());
        // Whatever went wrong with the feed: what must end does.
        report(host::now().map(|now| cut::settle(self.id, now)));
        report(self.pace());
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(id, self.plugin.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        report(vm::with(|vm| {
            vm.leave(self.id);
            stats::root_left(vm)
        }));
    }
}

fn send(stream: u32, message: Outgoing) -> Result<(), HostError> {
    let message = FilterMessage {
        message: Some(message),
    };
    host::send_grpc_message(stream, &message.encode_to_vec())
}

/// Who this proxy says that it is: for people, so what can't be had is left out.
fn node() -> Node {
    let text = |field| {
        let bytes = host::property(&["xds", "node", field]);
        String::from_utf8_lossy(&bytes.ok().flatten().unwrap_or_default()).into_owned()
    };
    Node {
        id: text("id"),
        cluster: text("cluster"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        vm: vm::with(|vm| vm.name()),
        feed: 0,
    }
}

fn report(result: Result<(), HostError>) {
    if let Err(error) = result {
        logs::write(Subject::Host, LogLevel::Error, &error.to_string());
    }
}

/// As much of `envoy.config.core.v3.GrpcService` as it takes to name a cluster and an authority.
mod wire {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct GrpcService {
        #[prost(message, optional, tag = "1")]
        pub(super) envoy_grpc: Option<EnvoyGrpc>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct EnvoyGrpc {
        #[prost(string, tag = "1")]
        pub(super) cluster_name: String,
        #[prost(string, tag = "2")]
        pub(super) authority: String,
    }
}
