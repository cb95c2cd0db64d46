//! Why the two parsers differ: every reason, and how to tell that it is that one.

use std::collections::BTreeSet;

use super::names::REF;

/// A reason to differ that is meant. Whatever fits none is a fault of one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Explained {
    // What only we refuse: the other parser knows no schema, and ours lets nothing through that could not be evaluated.
    /// `usrName eq "a"`; also a schema's URN as an attribute.
    UnknownAttribute,
    /// `userName eq 5`, `active eq "yes"`.
    LiteralOfAnotherType,
    /// `active gt true`, `userName co null`, `meta.created co "…"`.
    OperatorOfAnotherType,
    /// `name eq "Anne"`: it has no `value` to compare.
    ComplexCompared,
    /// `userName[value eq "a"]`, `emails.value[…]`.
    ElementsOfNoList,
    /// `password pr`: RFC 7643 section 4.1.1.
    Password,
    /// Nested deeper than 32 here, than 64 there.
    Depth,
    /// `emails [type eq "work"]`, `emails[type eq "work"] . value`: the RFC's grammar has no space there.
    SpaceInPath,

    // What only we accept, because it is sent.
    /// `emails[type eq "work"].value eq "a"` (Entra ID).
    ValuePathComparison,
    /// `members.$ref`: RFC 7643 section 2.4 names an attribute that the grammar of RFC 7644 does not allow.
    DollarRef,
    /// `active eq TRUE`: only operators and names are said to ignore case.
    CapitalLiteral,
    /// `not(…)`, as the grammar has it; `userName eq"a"` and `(…)and(…)`, which can't mean anything else.
    MissingSpace,
    /// More than 1024 comparisons: the other parser's bound. Ours is the request's size and work.
    ManyTerms,
    /// `( primary eq true)`: the other lexer takes the space and two letters for the operator `pr`.
    SpaceBeforePr,

    // What both accept, and we read more into.
    /// `emails eq "a"` means `emails.value eq "a"` (Ping).
    BareComplex,
    /// `active eq "True"` means `active eq true` (Entra ID).
    StringBoolean,
    /// `manager eq "1"` means the enterprise extension's (Entra ID).
    BareExtension,
    /// A path that is a schema's URN: there it is an attribute called `User` of the schema `…:core:2.0`.
    SchemaAsPath,
}

impl Explained {
    pub(super) const ALL: [Explained; 18] = [
        Explained::UnknownAttribute,
        Explained::LiteralOfAnotherType,
        Explained::OperatorOfAnotherType,
        Explained::ComplexCompared,
        Explained::ElementsOfNoList,
        Explained::Password,
        Explained::Depth,
        Explained::SpaceInPath,
        Explained::ValuePathComparison,
        Explained::DollarRef,
        Explained::CapitalLiteral,
        Explained::MissingSpace,
        Explained::ManyTerms,
        Explained::SpaceBeforePr,
        Explained::BareComplex,
        Explained::StringBoolean,
        Explained::BareExtension,
        Explained::SchemaAsPath,
    ];
}

/// A text in pieces that know nothing of a grammar.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Space(String),
    Text(String),
    Mark(char),
    Word(String),
}

impl Token {
    fn is_word(&self) -> bool {
        matches!(self, Token::Word(_))
    }

    fn starts_with_dot(&self) -> bool {
        matches!(self, Token::Word(word) if word.starts_with('.'))
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
        let (token, length) = match first {
            '"' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, c)| {
                    let closes = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    closes
                });
                let end = end.map_or(rest.len(), |(at, _)| at + 1);
                (Token::Text(rest[..end].to_owned()), end)
            }
            '(' | ')' | '[' | ']' => (Token::Mark(first), 1),
            c if c.is_whitespace() => {
                let end = until(|c| !c.is_whitespace());
                (Token::Space(rest[..end].to_owned()), end)
            }
            _ => {
                let end = until(|c| c.is_whitespace() || "()[]\"".contains(c));
                (Token::Word(rest[..end].to_owned()), end)
            }
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens
}

fn text(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Space(token) | Token::Text(token) | Token::Word(token) => text.push_str(token),
            Token::Mark(mark) => text.push(*mark),
        }
    }
    text
}

/// The same in the grammar of RFC 7644, if it is one of the shapes that we accept beyond it, and which of them it has.
pub(super) fn by_the_grammar(written: &str) -> (String, BTreeSet<Explained>) {
    let mut found = BTreeSet::new();
    let mut tokens = tokens(written);
    for token in &mut tokens {
        let Token::Word(word) = token else { continue };
        let lower = word.to_ascii_lowercase();
        if ["true", "false", "null"].contains(&lower.as_str()) && lower != *word {
            found.insert(Explained::CapitalLiteral);
            *word = lower;
        } else if lower == "$ref" || lower.ends_with(".$ref") {
            found.insert(Explained::DollarRef);
            *word = format!("{}{REF}", &word[..word.len() - "$ref".len()]);
        }
    }
    let mut spaced = Vec::new();
    for token in tokens {
        if matches!(&token, Token::Word(word) if word.to_ascii_lowercase().starts_with("pr"))
            && let [.., Token::Mark('(' | '['), Token::Space(_)] = spaced.as_slice()
        {
            found.insert(Explained::SpaceBeforePr);
            spaced.pop();
        }
        let missing = match (spaced.last(), &token) {
            (Some(Token::Word(_)), Token::Text(_) | Token::Mark('(')) => true,
            (Some(Token::Text(_) | Token::Mark(')')), Token::Word(_)) => true,
            (Some(Token::Mark(']')), word @ Token::Word(_)) => !word.starts_with_dot(),
            _ => false,
        };
        if missing {
            found.insert(Explained::MissingSpace);
            spaced.push(Token::Space(" ".to_owned()));
        }
        spaced.push(token);
    }
    let mut tokens = spaced;
    while let Some(inside) = compared_inside(&tokens) {
        found.insert(Explained::ValuePathComparison);
        tokens = inside;
    }
    (text(&tokens), found)
}

/// The first `[a].b eq "c"` as `[(a) and b eq "c"]`.
fn compared_inside(tokens: &[Token]) -> Option<Vec<Token>> {
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let close = pairs
        .clone()
        .position(|(a, b)| *a == Token::Mark(']') && b.starts_with_dot())?;
    let open = tokens[..close]
        .iter()
        .rposition(|t| *t == Token::Mark('['))?;
    let Token::Word(sub) = &tokens[close + 1] else {
        return None;
    };
    // A space and `pr`, or also another space and a value.
    let after = &tokens[close + 2..];
    let length = match after {
        [Token::Space(_), Token::Word(pr), ..] if pr.eq_ignore_ascii_case("pr") => 2,
        [Token::Space(_), Token::Word(_), Token::Space(_), value, ..]
            if value.is_word() || matches!(value, Token::Text(_)) =>
        {
            4
        }
        _ => return None,
    };
    let mut inside = tokens[..=open].to_vec();
    inside.push(Token::Mark('('));
    inside.extend_from_slice(&tokens[open + 1..close]);
    inside.push(Token::Mark(')'));
    inside.push(Token::Word(format!(" and {}", &sub[1..])));
    inside.extend_from_slice(&after[..length]);
    inside.push(Token::Mark(']'));
    inside.extend_from_slice(&after[length..]);
    Some(inside)
}

/// The same without spaces before `[` and around the `.` after `]`.
pub(super) fn without_spaces_in_paths(written: &str) -> String {
    let mut tight: Vec<Token> = Vec::new();
    let mut tokens = tokens(written).into_iter().peekable();
    while let Some(token) = tokens.next() {
        let drop = matches!(token, Token::Space(_))
            && match (tight.last(), tokens.peek()) {
                (_, Some(Token::Mark('['))) => true,
                (Some(Token::Mark(']')), Some(next)) => next.starts_with_dot(),
                (Some(Token::Word(dot)), _) => dot == ".",
                _ => false,
            };
        if !drop {
            tight.push(token);
        }
    }
    text(&tight)
}

/// How deep brackets of either kind nest.
pub(super) fn depth(written: &str) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for token in tokens(written) {
        match token {
            Token::Mark('(' | '[') => depth += 1,
            Token::Mark(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// How many comparisons there are at most.
pub(super) fn terms(written: &str) -> usize {
    let joins = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or"));
    tokens(written).iter().filter(|token| joins(token)).count() + 1
}
