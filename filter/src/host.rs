//! Every call to the host, as a function that returns a `Result`.
//!
//! The SDK's own wrappers panic on a status that they don't expect, and on text that is not UTF-8, which a client can
//! send. So the ABI is declared once more here, with statuses as plain numbers. Knows nothing of what is asked and why.
#![allow(
    unsafe_code,
    reason = "the host's ABI is raw pointers; no other file has any"
)]

use std::ptr::null_mut;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, StreamType};
use scimesh_engine::Moment;

use crate::refusal::Refusal;

/// The host refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call} answered {status}")]
pub(crate) struct HostError {
    call: &'static str,
    /// As in proxy-wasm's `Status`, or a WASI errno for the clock.
    status: u32,
}

impl HostError {
    /// The host gave headers that are no header map.
    pub(crate) const UNREADABLE_HEADERS: HostError = HostError {
        call: "header_map",
        status: OK,
    };
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: LogLevel, message: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: BufferType,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_continue_stream(stream: StreamType) -> u32;
    fn proxy_close_stream(stream: StreamType) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_grpc_send(stream: u32, message: *const u8, size: usize, end_stream: bool) -> u32;
    fn proxy_grpc_cancel(stream: u32) -> u32;
    fn proxy_get_status(code: *mut u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_define_metric(
        kind: MetricType,
        name: *const u8,
        name_size: usize,
        id: *mut u32,
    ) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, nanoseconds: *mut u64) -> u32;
}

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

fn done(call: &'static str, status: u32) -> Result<(), HostError> {
    match status {
        OK => Ok(()),
        status => Err(HostError { call, status }),
    }
}

/// Takes over what the host has allocated through the SDK's `proxy_on_memory_allocate`.
fn taken(
    call: &'static str,
    ask: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, HostError> {
    let mut data = null_mut();
    let mut size = 0;
    match ask(&mut data, &mut size) {
        OK if data.is_null() => Ok(Some(Vec::new())),
        // SAFETY: the host got `data` from this module's allocator as a boxed slice of `size` bytes, wrote all of
        // them, and hands it over.
        OK => Ok(Some(unsafe { Vec::from_raw_parts(data, size, size) })),
        NOT_FOUND => Ok(None),
        status => Err(HostError { call, status }),
    }
}

/// Writes a line to Envoy's log. If that fails, there is nobody to tell.
pub(crate) fn log(level: LogLevel, line: &str) {
    // SAFETY: the host only reads the line.
    unsafe { proxy_log(level, line.as_ptr(), line.len()) };
}

/// What time it is, on both clocks.
pub(crate) fn now() -> Result<Moment, HostError> {
    Ok(Moment {
        monotonic: clock(MONOTONIC)?,
        wall: clock(REALTIME)?,
    })
}

fn clock(clock: u32) -> Result<Duration, HostError> {
    let mut nanoseconds = 0;
    // SAFETY: the host writes one u64.
    let status = unsafe { clock_time_get(clock, 1, &mut nanoseconds) };
    done("clock_time_get", status)?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Has the root context ticked at this period, for ever.
pub(crate) fn set_tick_period(period: Duration) -> Result<(), HostError> {
    let period = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: plain numbers.
    let status = unsafe { proxy_set_tick_period_milliseconds(period) };
    done("set_tick_period", status)
}

/// The policy that is being configured, as it was written.
pub(crate) fn plugin_configuration(size: usize) -> Result<Vec<u8>, HostError> {
    buffer(
        "plugin_configuration",
        BufferType::PluginConfiguration,
        size,
    )
}

/// The message that has just arrived on a gRPC stream.
pub(crate) fn grpc_message(size: usize) -> Result<Vec<u8>, HostError> {
    buffer("grpc_message", BufferType::GrpcReceiveBuffer, size)
}

fn buffer(call: &'static str, buffer: BufferType, size: usize) -> Result<Vec<u8>, HostError> {
    if size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host writes one pointer and one size.
    let bytes = taken(call, |data, length| unsafe {
        proxy_get_buffer_bytes(buffer, 0, size, data, length)
    })?;
    bytes.ok_or(HostError {
        call,
        status: NOT_FOUND,
    })
}

/// All headers of the request, or all trailers, as [`crate::headers`] reads them. One call for all of them costs little more
/// than one for one of them.
pub(crate) fn header_map(map: MapType) -> Result<Vec<u8>, HostError> {
    // SAFETY: the host writes one pointer and one size.
    let bytes = taken("header_map", |data, size| unsafe {
        proxy_get_header_map_pairs(map, data, size)
    })?;
    Ok(bytes.unwrap_or_default())
}

/// Takes all headers of this name away, in any case.
pub(crate) fn remove_header(map: MapType, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host only reads.
    let status = unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    done("remove_header", status)
}

/// Gives the request one header of this name, with this value.
pub(crate) fn set_request_header(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host only reads.
    let status = unsafe {
        proxy_replace_header_map_value(
            MapType::HttpRequestHeaders,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    done("set_request_header", status)
}

/// A property of the request, or none. A value that the host can't write as bytes (null) is an error.
pub(crate) fn property(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    let path = path.join("\0");
    // SAFETY: the host reads the path, and writes one pointer and one size.
    taken("property", |data, size| unsafe {
        proxy_get_property(path.as_ptr(), path.len(), data, size)
    })
}

/// Sets filter state `wasm.<name>` of the request.
pub(crate) fn set_property(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host only reads.
    let status =
        unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    done("set_property", status)
}

/// Answers the request here. Envoy gives the response its form: gRPC if the request is, without a body to HEAD.
pub(crate) fn send_local_response(refusal: &Refusal) -> Result<(), HostError> {
    const NO_GRPC_STATUS: i32 = -1;
    let headers = crate::headers::encode(&refusal.headers);
    // SAFETY: the host only reads.
    let status = unsafe {
        proxy_send_local_response(
            refusal.status.into(),
            refusal.details.as_ptr(),
            refusal.details.len(),
            refusal.body.as_ptr(),
            refusal.body.len(),
            headers.as_ptr(),
            headers.len(),
            refusal.grpc_status.map_or(NO_GRPC_STATUS, i32::from),
        )
    };
    done("send_local_response", status)
}

/// Lets a request that was paused go on.
pub(crate) fn resume_request() -> Result<(), HostError> {
    // SAFETY: plain numbers.
    let status = unsafe { proxy_continue_stream(StreamType::HttpRequest) };
    done("continue_stream", status)
}

/// Ends a request, whatever of its response has been sent: over HTTP/1.1 with its connection, over HTTP/2 with RST_STREAM. Its context
/// is gone when this returns, or soon after.
pub(crate) fn reset_request() -> Result<(), HostError> {
    // SAFETY: plain numbers.
    let status = unsafe { proxy_close_stream(StreamType::HttpRequest) };
    done("close_stream", status)
}

/// Lets the calls that follow concern another context, until the callback ends.
pub(crate) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: plain numbers.
    let status = unsafe { proxy_set_effective_context(context) };
    done("set_effective_context", status)
}

/// Opens a bidirectional stream to `method` of `service`. `target` is a serialized
/// `envoy.config.core.v3.GrpcService`: given a bare name, Envoy would use it as `:authority`.
pub(crate) fn open_grpc_stream(
    target: &[u8],
    service: &str,
    method: &str,
) -> Result<u32, HostError> {
    // Only the SDK's function registers the stream with the SDK's dispatcher, and it takes a `&str`.
    // SAFETY: not sound for text in general, as `target` need not be UTF-8; but proxy-wasm 0.2.5, pinned to this very
    // version, only takes its address and length. No length of `target` makes the host answer with a status that the
    // SDK panics on.
    let target = unsafe { str::from_utf8_unchecked(target) };
    hostcalls::open_grpc_stream(target, service, method, Vec::new()).map_err(|status| HostError {
        call: "open_grpc_stream",
        status: status as u32,
    })
}

/// Whether Envoy knows the cluster. Envoy gives one and the same error for a stream to an unknown cluster and for one
/// to a cluster without a healthy host; an HTTP call tells them apart.
pub(crate) fn cluster_exists(cluster: &str) -> bool {
    let headers = vec![
        (":method", "GET"),
        (":path", "/"),
        (":authority", "scimesh"),
    ];
    let timeout = Duration::from_secs(1);
    let call = hostcalls::dispatch_http_call(cluster, headers, None, Vec::new(), timeout);
    call != Err(proxy_wasm::types::Status::BadArgument)
}

/// Sends one message on a stream.
pub(crate) fn send_grpc_message(stream: u32, message: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host only reads.
    let status = unsafe { proxy_grpc_send(stream, message.as_ptr(), message.len(), false) };
    done("grpc_send", status)
}

/// Ends a stream, and has Envoy forget it. Needed also from the callback that says that the other side has closed it:
/// Envoy would otherwise keep a pointer to a stream that it has freed, and follow it when the root context goes.
pub(crate) fn cancel_grpc_stream(stream: u32) {
    // SAFETY: plain numbers. An unknown stream is none to end.
    unsafe { proxy_grpc_cancel(stream) };
}

/// What Envoy says about the end of a stream, in the callback that announces it.
pub(crate) fn grpc_status_message() -> Result<Vec<u8>, HostError> {
    let mut code = 0;
    // SAFETY: the host writes one u32, one pointer and one size.
    let message = taken("get_status", |data, size| unsafe {
        proxy_get_status(&mut code, data, size)
    })?;
    Ok(message.unwrap_or_default())
}

/// Defines a metric, or finds it by its name.
pub(crate) fn define_metric(kind: MetricType, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the host reads the name and writes one u32.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    done("define_metric", status)?;
    Ok(id)
}

/// Adds to a counter, or to a gauge, which may as well become less.
pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<(), HostError> {
    // SAFETY: plain numbers.
    let status = unsafe { proxy_increment_metric(id, offset) };
    done("increment_metric", status)
}

/// Notes a value in a histogram.
pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: plain numbers.
    let status = unsafe { proxy_record_metric(id, value) };
    done("record_metric", status)
}
