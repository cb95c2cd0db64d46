//! A directory out of the lines that `scimesh dump` prints.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;

use super::stage::{Group, Stage, User};
use crate::config::BindingForm;
use crate::directory::Refused;

/// The format that is read.
const FORMAT: u32 = 1;

/// Why a file is no dump.
#[derive(Debug, thiserror::Error)]
pub enum BadDump {
    /// It could not be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is none.
    #[error("{}:{line}: {why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// A line. Fields that are not known are passed over, as `docs/cli.md` asks of readers.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Line {
    #[serde(rename_all = "camelCase")]
    Dump {
        format: u32,
        tenant: String,
        bindings: Vec<BindingForm>,
    },
    User(User),
    Group(Group),
}

/// Reads a dump; the stage holds its tenant.
pub fn read(path: &Path) -> Result<Stage, BadDump> {
    let unreadable = |source| BadDump::Unreadable {
        path: path.to_owned(),
        source,
    };
    let lines = BufReader::new(File::open(path).map_err(unreadable)?).lines();
    let mut stage: Option<Stage> = None;
    let mut members: Vec<(usize, Uuid, Vec<Uuid>)> = Vec::new();
    let malformed = |line: usize, why: String| BadDump::Malformed {
        path: path.to_owned(),
        line,
        why,
    };
    for (index, text) in lines.enumerate() {
        let number = index + 1;
        let wrong = |why: String| malformed(number, why);
        let line = serde_json::from_str(&text.map_err(unreadable)?);
        let refused = |why: Refused| wrong(why.to_string());
        match (line.map_err(|error| wrong(error.to_string()))?, &mut stage) {
            (Line::Dump { format, .. }, _) if format != FORMAT => {
                return Err(wrong(format!(
                    "format {format}; this version reads {FORMAT}"
                )));
            }
            (
                Line::Dump {
                    tenant, bindings, ..
                },
                None,
            ) => {
                let bindings = bindings.into_iter().map(|form| form.0);
                stage = Some(Stage::new(&tenant, bindings).map_err(refused)?);
            }
            (Line::Dump { .. }, Some(_)) => return Err(wrong("a second dump".to_owned())),
            (_, None) => return Err(wrong("no line about the dump before it".to_owned())),
            (Line::User(user), Some(stage)) => {
                stage.add_user(user).map_err(refused)?;
            }
            (Line::Group(mut group), Some(stage)) => {
                let mut all = std::mem::take(&mut group.users);
                all.append(&mut group.groups);
                let id = stage.add_group(group).map_err(refused)?;
                members.push((number, id, all));
            }
        }
    }
    let mut stage = stage.ok_or_else(|| malformed(1, "an empty file".to_owned()))?;
    // A group may have groups that come after it.
    for (line, group, members) in members {
        let added = stage.add_members(group, members);
        added.map_err(|why| malformed(line, why.to_string()))?;
    }
    Ok(stage)
}
