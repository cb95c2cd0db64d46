//! Bounds with names: what a server's limits are called, what they are if nobody says otherwise, and `NAME=VALUE`, by which an
//! operator says so. Which limits there are is each server's own.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// A limit of some server's.
pub trait Named: Copy + fmt::Debug + 'static {
    /// Every one, in the order of the documentation.
    const ALL: &'static [Self];

    /// What an operator calls it.
    fn name(self) -> &'static str;

    /// What is counted.
    fn of(self) -> &'static str;

    /// The values that it may have.
    fn range(self) -> RangeInclusive<usize>;
}

/// Makes a struct `Limits` of one field for each, its `Default`, and the enum `Limit` that names them. Their ranges are the caller's.
macro_rules! limits {
    ($($limit:ident, $field:ident = $default:expr, $name:literal, $of:literal;)+) => {
        /// What clients may ask for at most.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = concat!("`", $name, "`: ", $of, ".")] pub $field: usize,)+
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($field: $default,)+ }
            }
        }

        impl Limits {
            /// The value of one of them.
            pub fn get(&self, limit: Limit) -> usize {
                match limit { $(Limit::$limit => self.$field,)+ }
            }

            /// Gives one of them another value.
            pub fn set(&mut self, limit: Limit, value: usize) {
                match limit { $(Limit::$limit => self.$field = value,)+ }
            }
        }

        /// One of the [`Limits`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit {
            $(#[doc = concat!($of, ".")] $limit,)+
        }

        impl $crate::limits::Named for Limit {
            const ALL: &'static [Limit] = &[$(Limit::$limit,)+];

            fn name(self) -> &'static str {
                match self { $(Limit::$limit => $name,)+ }
            }

            fn of(self) -> &'static str {
                match self { $(Limit::$limit => $of,)+ }
            }

            fn range(self) -> std::ops::RangeInclusive<usize> {
                self.range()
            }
        }
    };
}

pub(crate) use limits;

/// `NAME=VALUE`, as an operator sets a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<L> {
    /// Which.
    pub limit: L,
    /// Its new value.
    pub value: usize,
}

/// Not a setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSetting {
    /// Without `=`.
    #[error("not NAME=VALUE")]
    Shape,
    /// No such limit.
    #[error("there is no limit {name:?}; there are {known}")]
    Unknown {
        /// What was written.
        name: String,
        /// What there is.
        known: String,
    },
    /// Not a number, or one that the limit can't have.
    #[error("{name} has to be a whole number from {least} to {most}")]
    Value {
        /// The limit.
        name: &'static str,
        /// The least that it can be.
        least: usize,
        /// The most that it can be.
        most: usize,
    },
}

impl<L: Named> FromStr for Setting<L> {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Setting<L>, InvalidSetting> {
        let (name, value) = text.split_once('=').ok_or(InvalidSetting::Shape)?;
        let name = name.trim();
        let limit = L::ALL.iter().find(|limit| limit.name() == name);
        let limit = *limit.ok_or_else(|| {
            let known: Vec<&str> = L::ALL.iter().map(|limit| limit.name()).collect();
            InvalidSetting::Unknown {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })?;
        let range = limit.range();
        let value = value.trim().parse::<usize>().ok();
        let value = value.filter(|value| range.contains(value));
        Ok(Setting {
            limit,
            value: value.ok_or(InvalidSetting::Value {
                name: limit.name(),
                least: *range.start(),
                most: *range.end(),
            })?,
        })
    }
}
