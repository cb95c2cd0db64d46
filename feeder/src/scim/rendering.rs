//! Resources as text, made piece by piece as the client takes it.
//!
//! A page may hold 1,000 groups of 100,000 members: gigabytes. No more of it is held than one piece, and a client that takes its time holds up
//! no thread. What is shown is the tenant as it was when the answer began.

use std::sync::Arc;
use std::{io, vec};

use axum::body::Body;
use futures::stream::{StreamExt, once, try_unfold};
use serde::Serialize;

use super::projection::Projection;
use super::query::Query;
use super::reading::Reading;
use super::resource::{Related, View};
use super::search::Among;
use super::stored::Stored;
use crate::directory::Tenant;
use crate::schema::Kind;

/// Bytes after which a piece ends. One resource without its related ones, or one related one, is never parted.
const PIECE: usize = 32 << 10;

/// What is around the resources.
#[derive(Debug, Clone)]
pub(crate) enum Envelope {
    /// Nothing: it is one resource.
    None,
    /// A ListResponse (RFC 7644 section 3.4.2, RFC 9865 section 2).
    List {
        /// Resources on all pages.
        total: usize,
        /// None if the client pages by cursor.
        start_index: Option<usize>,
        /// The cursor of the next page.
        next: Option<String>,
    },
}

/// An answer, as far as it is not written yet.
#[derive(Debug)]
pub(crate) struct Rendering {
    tenant: Arc<Tenant>,
    base: Arc<str>,
    among: Among,
    query: Query,
    head: Vec<u8>,
    waiting: vec::IntoIter<Stored>,
    /// The resource whose related ones are being written.
    open: Option<Open>,
    /// What separates the next resource from what is before it.
    separator: &'static str,
    tail: &'static str,
    ended: bool,
}

/// A resource whose related ones are being written.
#[derive(Debug)]
struct Open {
    kind: Kind,
    related: Related,
    /// Whether the list was begun.
    begun: bool,
}

impl Rendering {
    /// Of these resources, as far as the query wants them.
    pub(crate) fn new(
        tenant: Arc<Tenant>,
        base: Arc<str>,
        among: Among,
        query: &Query,
        envelope: Envelope,
        resources: Vec<Stored>,
    ) -> Rendering {
        let (head, tail) = match &envelope {
            Envelope::None => (Vec::new(), ""),
            Envelope::List { .. } => (head(&envelope, resources.len()), "]}"),
        };
        Rendering {
            tenant,
            base,
            among,
            query: query.clone(),
            head,
            waiting: resources.into_iter(),
            open: None,
            separator: "",
            tail,
            ended: false,
        }
    }

    /// Writes the first piece, which is mostly all.
    pub(crate) fn begin(mut self) -> Begun {
        let first = self.piece();
        Begun { first, rest: self }
    }

    /// The next piece. Work for a thread that may be held up.
    pub(super) fn piece(&mut self) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.head);
        let (tenant, base) = (self.tenant.clone(), self.base.clone());
        let view = View {
            tenant: &tenant,
            base: &base,
        };
        let schemas = tenant.schemas();
        let [users, groups] = Kind::ALL.map(|kind| {
            let others = self.among.others(schemas, kind);
            // Names that select nothing were noted before.
            Projection::new(
                schemas.of(kind),
                others,
                &self.query,
                &mut Reading::default(),
            )
        });
        let projection = |kind| match kind {
            Kind::User => &users,
            Kind::Group => &groups,
        };
        while !self.ended && text.len() < PIECE {
            if let Some(open) = &mut self.open {
                if open.write(view, projection(open.kind), &mut text) {
                    self.open = None;
                }
            } else if let Some(stored) = self.waiting.next() {
                let kind = stored.kind();
                text.extend(self.separator.bytes());
                self.separator = ",";
                let shown = projection(kind).apply(view.resource(&stored));
                write(&mut text, &shown);
                if projection(kind).shows(kind.related()) {
                    // The closing brace is written when the related ones are.
                    text.pop();
                    self.open = Some(Open {
                        kind,
                        related: Related::of(&tenant, &stored),
                        begun: false,
                    });
                }
            } else {
                text.extend(self.tail.bytes());
                self.ended = true;
            }
        }
        text
    }
}

impl Open {
    /// Goes on writing; whether that was all.
    fn write(&mut self, view: View<'_>, projection: &Projection<'_>, text: &mut Vec<u8>) -> bool {
        while text.len() < PIECE {
            let Some(element) = self.related.next() else {
                // RFC 7643 section 2.5: an empty list is no attribute. But authentik adds nobody to a group whose list of members it does not see.
                if !self.begun && self.kind == Kind::Group {
                    self.begin(text);
                }
                text.extend(if self.begun { "]}" } else { "}" }.bytes());
                return true;
            };
            let element = view.element(element);
            let Some(element) = element.and_then(|e| projection.element(self.kind, e)) else {
                continue;
            };
            match self.begun {
                true => text.push(b','),
                false => self.begin(text),
            }
            write(text, &element);
        }
        false
    }

    fn begin(&mut self, text: &mut Vec<u8>) {
        // A resource always has other attributes before.
        let begin = format!(",\"{}\":[", self.kind.related());
        text.extend(begin.bytes());
        self.begun = true;
    }
}

/// An answer whose first piece is written.
#[derive(Debug)]
pub(crate) struct Begun {
    first: Vec<u8>,
    rest: Rendering,
}

impl Begun {
    /// The body: each further piece is made when the client has taken the one before. None of them can fail.
    pub(crate) fn body(self) -> Body {
        let Begun { first, rest } = self;
        if rest.ended {
            return Body::from(first);
        }
        let further = try_unfold(rest, async |mut rest| {
            if rest.ended {
                return Ok(None);
            }
            let made = tokio::task::spawn_blocking(move || (rest.piece(), rest)).await;
            // A panic breaks the connection off: half an answer never looks like a whole one.
            made.map(Some).map_err(io::Error::other)
        });
        Body::from_stream(once(async { Ok(first) }).chain(further))
    }
}

fn head(envelope: &Envelope, items: usize) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'e> {
        schemas: [&'static str; 1],
        total_results: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        start_index: Option<usize>,
        items_per_page: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<&'e str>,
    }
    let mut text = Vec::new();
    if let Envelope::List {
        total,
        start_index,
        next,
    } = envelope
    {
        let head = Head {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            total_results: *total,
            start_index: *start_index,
            items_per_page: items,
            next_cursor: next.as_deref(),
        };
        write(&mut text, &head);
        text.pop();
        text.extend(b",\"Resources\":[");
    }
    text
}

fn write(text: &mut Vec<u8>, value: &impl Serialize) {
    // Maps with string keys always have a text, and a vector takes it.
    let _ = serde_json::to_writer(text, value);
}
