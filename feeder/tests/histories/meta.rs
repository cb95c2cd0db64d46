//! What a resource's `meta` may say: times and versions are the server's to choose, but not freely.

use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::service::Window;

/// Of one resource.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    created: Moment,
    modified: Moment,
    /// Every version that was shown, the newest last.
    tags: Vec<String>,
    /// The newest is the current one: nothing has changed since it was shown.
    current: bool,
    /// When something was done to it that may, or may not, count as a change.
    doubt: Option<Window>,
}

/// A time: known as soon as it was shown, before that only roughly.
#[derive(Debug, Clone)]
struct Moment {
    at: Window,
    shown: Option<String>,
}

impl Moment {
    fn at((from, until): Window) -> Moment {
        // The server keeps whole milliseconds.
        Moment {
            at: (from - Span::new().milliseconds(1), until),
            shown: None,
        }
    }

    fn text(&self) -> String {
        self.shown.clone().unwrap_or_else(|| self.at.0.to_string())
    }

    fn learn(&mut self, what: &str, shown: &Value) -> Result<(), String> {
        let text = shown.as_str().unwrap_or_default();
        let time: Timestamp = text
            .parse()
            .map_err(|_| format!("{what} is no time: {shown}"))?;
        match &self.shown {
            Some(known) if known != text => Err(format!(
                "{what} is {text}, and was {known}, but nothing changed"
            )),
            Some(_) => Ok(()),
            None if time < self.at.0 || time > self.at.1 => {
                Err(format!("{what} is {text}, which is not when it happened"))
            }
            None => {
                self.shown = Some(text.to_owned());
                Ok(())
            }
        }
    }
}

impl Meta {
    /// Of a resource that was made then.
    pub(crate) fn new(at: Window) -> Meta {
        Meta {
            created: Moment::at(at),
            modified: Moment::at(at),
            tags: Vec::new(),
            current: false,
            doubt: None,
        }
    }

    /// The resource changed then.
    pub(crate) fn changed(&mut self, at: Window) {
        self.modified = Moment::at(at);
        self.current = false;
        self.doubt = None;
    }

    /// The resource was changed then, and perhaps changed back.
    pub(crate) fn may_have_changed(&mut self, at: Window) {
        match self.current {
            true => self.doubt = Some(at),
            // It has changed anyhow since it was shown: then, or before.
            false => self.modified.at.1 = at.1,
        }
    }

    /// Whether `If-Match` lets the request pass; none if it may or may not. A version is never used twice.
    pub(crate) fn matches(&self, tags: &str) -> Option<bool> {
        let mut tags = tags.split(',').map(str::trim);
        let newest = self.tags.last().filter(|_| self.current);
        let any = tags.clone().any(|tag| tag == "*");
        let met = tags.any(|tag| newest.is_some_and(|newest| tag == newest || tag == &newest[2..]));
        match self.doubt {
            _ if any => Some(true),
            Some(_) if met => None,
            _ => Some(met),
        }
    }

    /// The versions that were shown, the newest last.
    pub(crate) fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Takes in what the server shows of it, and says what can't be.
    pub(crate) fn learn(&mut self, shown: &Value) -> Result<(), String> {
        self.settle(shown);
        if let Some(created) = shown.get("created") {
            self.created.learn("created", created)?;
        }
        if let Some(modified) = shown.get("lastModified") {
            self.modified.learn("lastModified", modified)?;
        }
        match shown.get("version") {
            Some(version) => self.learn_tag(version.as_str().unwrap_or_default()),
            None => Ok(()),
        }
    }

    /// Another version, or another time, says that the doubtful was a change.
    fn settle(&mut self, shown: &Value) {
        let tag = shown.get("version").and_then(Value::as_str);
        let time = shown.get("lastModified").and_then(Value::as_str);
        let other_tag = tag.is_some_and(|tag| self.tags.last().is_none_or(|newest| newest != tag));
        let other_time = time.is_some_and(|time| match &self.modified.shown {
            Some(shown) => shown != time,
            // It was never shown: then it is later than the change before.
            None => time
                .parse()
                .is_ok_and(|time: Timestamp| time > self.modified.at.1),
        });
        if let Some(at) = self.doubt
            && (other_tag || other_time)
        {
            self.changed(at);
        }
        if tag.is_some() && time.is_some() {
            self.doubt = None;
        }
    }

    /// Takes in a version that the server shows.
    pub(crate) fn learn_tag(&mut self, tag: &str) -> Result<(), String> {
        self.settle(&json!({"version": tag}));
        if !tag.starts_with("W/\"") {
            return Err(format!("{tag} is no weak entity tag"));
        }
        let newest = self.tags.last().is_some_and(|newest| newest == tag);
        match (self.current, newest) {
            (true, false) => Err(format!(
                "the version is {tag}, but nothing changed since {:?}",
                self.tags
            )),
            (false, _) if self.tags.iter().any(|old| old == tag) => {
                Err(format!("the resource changed, and is {tag} again"))
            }
            (false, _) => {
                self.tags.push(tag.to_owned());
                self.current = true;
                Ok(())
            }
            (true, true) => Ok(()),
        }
    }

    /// The attribute, as far as it is known.
    pub(crate) fn json(&self, kind: &str, location: &str) -> Value {
        json!({
            "resourceType": kind,
            "created": self.created.text(),
            "lastModified": self.modified.text(),
            "location": location,
            "version": self.tags.last(),
        })
    }
}
