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
    /// None before its headers have arrived.
    answer: Option<Answer>,
}

impl Http {
    pub(crate) fn new(id: u32, plugin: Option<Rc<Plugin>>) -> Http {
        Http {
            id,
            plugin,
            answer: None,
        }
    }

    /// What follows the headers goes no further than they do. Envoy keeps it back by itself, unless it is told to
    /// (`allow_on_headers_stop_iteration`) ask for each part: then a body that went on would take its request along.
    fn follow(&self) -> Action {
        match self.answer {
            Some(Answer::GoesOn) => Action::Continue,
            Some(Answer::Held) if !vm::with(|vm| vm.holds.holds(self.id)) => Action::Continue,
            _ => Action::Pause,
        }
    }
}

impl Http {
    /// It waits for nothing any more, and is not open. What it has been is not asked: one that was held may have been let go on since.
    fn forget(&self) {
        if let (Some(plugin), Some(_)) = (&self.plugin, &self.answer) {
            vm::with(|vm| {
                vm.holds.forget(self.id);
                vm.end(self.id, plugin);
            });
        }
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let answer = request::arrives(self.id, self.plugin.as_ref());
        let action = answer.action();
        self.answer = Some(answer);
        action
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.follow()
    }

    /// Trailers come once, held or not: a request that is let go on later takes them along as they are then.
    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let (Some(Answer::GoesOn | Answer::Held), Some(plugin)) = (&self.answer, &self.plugin)
            && let Some(refused) = request::ends(plugin)
        {
            self.forget();
            self.answer = Some(refused);
        }
        self.follow()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.forget();
    }
}
