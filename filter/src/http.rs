//! The host's context of one request. What is done with it is in [`request`].

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::request::{self, Answer};
use crate::vm::{self, Plugin};

/// One request.
pub(crate) struct Http {
    id: u32,
    /// None if its root context has no policy: refused.
    plugin: Option<Rc<Plugin>>,
    held: bool,
}

impl Http {
    pub(crate) fn new(id: u32, plugin: Option<Rc<Plugin>>) -> Http {
        Http {
            id,
            plugin,
            held: false,
        }
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let answer = request::arrives(self.id, self.plugin.as_ref());
        self.held = matches!(answer, Answer::Held);
        answer.action()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if self.held {
            vm::with(|vm| vm.holds.forget(self.id));
        }
    }
}
