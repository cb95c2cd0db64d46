//! Filters and paths to try: by the grammar of RFC 7644, as IdPs write them, and damaged.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::names::Names;
use crate::schema::{Attribute, ResourceType, Type};

type Text = BoxedStrategy<String>;

/// What IdPs send, and what people mistype.
const SENT: &[&str] = &[
    r#"userName eq "bjensen@example.com""#,
    r#"externalId eq "0b7d1f1e-5d0c-4c5b-9a55-4c2f0a0b5a6e""#,
    r#"emails[type eq "work"].value eq "babs@example.com""#,
    r#"emails[type EQ "work" and primary eq "True"].value SW "babs" or userName eq "babs""#,
    r#"id eq "2819c223" and manager eq "26118915""#,
    r#"emails eq "babs@example.com""#,
    r#"username EQ "babs" AND Active EQ True"#,
    r#"displayName eq "Tour Guides""#,
    r#"members[value eq "2819c223"]"#,
    r#"members.$ref ew "/2819c223""#,
    r#"members[$ref co "Users"].type pr"#,
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref pr",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:core:2.0:Group",
    r#"addresses[type eq "work"].streetAddress"#,
    r#"emails [type eq "work"]"#,
    r#"emails[type eq "work"] . value"#,
    r#"not(userName pr)and(title pr)or active eq"false""#,
    r#"( preferredLanguage eq "en" ) and emails[ primary eq true ]"#,
    r#"userName eq 'bjensen'"#,
    r#"userName eq "bjensen" and"#,
    r#"name eq "Jensen""#,
    "password pr",
    "active eq null or meta.created gt \"2011-05-13T04:42:34Z\"",
];

/// Pieces that damage puts in.
const PIECES: &[&str] = &[
    " ", "  ", "(", ")", "[", "]", "\"", ".", ":", "\\", "\\u0041", "5", "not ", "not(", " and ",
    " or ", " pr", " eq ", ".$ref", "TRUE", "Null", "\u{2003}", "é", "$",
];

/// Filters over resources of this type.
pub(super) fn filters(resources: &'static ResourceType) -> Text {
    let names = Names::of(resources);
    let term = prop_oneof![
        6 => expression(names.all()),
        3 => with_elements(&names),
        2 => compared_elements(&names),
    ];
    let deep = (25usize..75).prop_map(|n| format!("{}title pr{}", "(".repeat(n), ")".repeat(n)));
    let long = (1000usize..1050).prop_map(|n| vec!["id pr"; n].join(" or "));
    prop_oneof![
        300 => damaged(boolean(term.boxed())),
        60 => damaged(select(SENT).prop_map(str::to_owned).boxed()),
        10 => ".{0,12}",
        4 => deep,
        1 => long,
    ]
    .boxed()
}

/// PATCH paths into resources of this type.
pub(super) fn paths(resources: &'static ResourceType) -> Text {
    let names = Names::of(resources);
    let known = names.all().into_iter().map(|(name, _)| name);
    let plain = known.chain(names.schemas()).collect::<Vec<String>>();
    let sub = with_elements(&names);
    let sub = (
        sub,
        select(&["value", "type", "primary", "display", "x"][..]),
    );
    prop_oneof![
        4 => damaged(select(plain).boxed()),
        3 => damaged(with_elements(&names)),
        3 => damaged(sub.prop_map(|(path, sub)| format!("{path}.{sub}")).boxed()),
        2 => damaged(select(SENT).prop_map(str::to_owned).boxed()),
        1 => ".{0,12}",
    ]
    .boxed()
}

fn boolean(term: Text) -> Text {
    let nested = term.prop_recursive(4, 16, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several().prop_map(|parts| parts.join(" and ")),
            several().prop_map(|parts| parts.join(" or ")),
            inner.clone().prop_map(|part| format!("({part})")),
            inner.clone().prop_map(|part| format!("not ({part})")),
        ]
    });
    nested.boxed()
}

fn expression(names: Vec<(String, &'static Attribute)>) -> Text {
    let known = select(names).prop_flat_map(|(name, attribute)| {
        comparison(attribute).prop_map(move |comparison| format!("{name} {comparison}"))
    });
    let unknown = &[
        r#"usrName eq "a""#,
        "nothing pr",
        r#"urn:x:y:userName eq "a""#,
        "a.b.c pr",
    ];
    prop_oneof![
        40 => known,
        1 => select(&unknown[..]).prop_map(str::to_owned),
    ]
    .boxed()
}

const EQUALITY: &[&str] = &["eq", "ne", "EQ", "nE"];
const ANY_OPERATOR: &[&str] = &["eq", "EQ", "ne", "co", "sw", "ew", "Gt", "ge", "lt", "le"];
const ANY_VALUE: &[&str] = &[
    r#""a""#,
    r#""a\"b\\c\u00e9""#,
    r#""""#,
    "true",
    "false",
    "null",
    "5",
    "-1.5e3",
    "TRUE",
    "a",
    r#""2011-05-13T04:42:34Z""#,
];

/// What may follow an attribute; mostly of its type.
fn comparison(attribute: &Attribute) -> Text {
    let (operators, values): (_, &[&str]) = match attribute.kind {
        Type::Boolean => (
            EQUALITY,
            &["true", "false", r#""True""#, r#""FALSE""#, "False"],
        ),
        Type::DateTime => (
            &["eq", "ne", "gt", "GE", "lt", "le"],
            &[
                r#""2011-05-13T04:42:34Z""#,
                r#""2011-05-13T06:42:34.5+01:00""#,
            ],
        ),
        Type::Integer | Type::Decimal => (
            &["eq", "NE", "gt", "ge", "LT", "le"],
            &["5", "-1.5e3", "0", "-0", "18446744073709551616", "1E400"],
        ),
        Type::Binary => (EQUALITY, &[r#""MII=""#, r#""""#]),
        _ => (
            ANY_OPERATOR,
            &[
                r#""work""#,
                r#""a\"b""#,
                r#""Øre \u00e9""#,
                r#""not (x) and [y]""#,
            ],
        ),
    };
    prop_oneof![
        20 => (select(operators), select(values)),
        2 => (select(EQUALITY), Just("null")),
        1 => (select(ANY_OPERATOR), select(ANY_VALUE)),
        4 => Just(("pr", "")),
    ]
    .prop_map(|(operator, value)| format!("{operator} {value}").trim_end().to_owned())
    .boxed()
}

fn lists(names: &Names) -> Vec<(String, &'static Attribute)> {
    let mut all = names.all();
    all.retain(|(_, attribute)| attribute.multi_valued && attribute.kind == Type::Complex);
    all
}

fn within(attribute: &'static Attribute) -> Text {
    boolean(expression(Names::within(attribute).all()))
}

/// `list[filter]`, now and then of what is no list.
fn with_elements(names: &Names) -> Text {
    let list = select(lists(names)).prop_flat_map(|(name, attribute)| {
        within(attribute).prop_map(move |filter| format!("{name}[{filter}]"))
    });
    let other = select(names.all()).prop_map(|(name, _)| format!(r#"{name}[value eq "a"]"#));
    prop_oneof![12 => list, 1 => other].boxed()
}

/// `list[filter].sub eq "value"`.
fn compared_elements(names: &Names) -> Text {
    let list = select(lists(names)).prop_flat_map(|(name, attribute)| {
        let compared = expression(Names::within(attribute).all());
        (within(attribute), compared)
            .prop_map(move |(filter, compared)| format!("{name}[{filter}].{compared}"))
    });
    list.boxed()
}

#[derive(Debug, Clone)]
enum Damage {
    Drop(Index),
    DropSpace(Index),
    Double(Index),
    Insert(Index, &'static str),
    Capitals(Index),
    CutAt(Index),
}

/// Half of them as they are.
fn damaged(text: Text) -> Text {
    let at = any::<Index>;
    let damage = prop_oneof![
        3 => at().prop_map(Damage::Drop),
        4 => at().prop_map(Damage::DropSpace),
        2 => at().prop_map(Damage::Double),
        6 => (at(), select(PIECES)).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        4 => at().prop_map(Damage::Capitals),
        1 => at().prop_map(Damage::CutAt),
    ];
    let damages = prop_oneof![
        3 => Just(Vec::new()),
        2 => prop::collection::vec(damage, 1..4),
    ];
    let apply = |(text, damages): (String, Vec<Damage>)| {
        damages
            .iter()
            .fold(text, |text, damage| damage.applied(&text))
    };
    (text, damages).prop_map(apply).boxed()
}

impl Damage {
    fn applied(&self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        if chars.is_empty() {
            return String::new();
        }
        match self {
            Damage::Drop(at) => {
                chars.remove(at.index(chars.len()));
            }
            Damage::DropSpace(at) => {
                let spaces: Vec<usize> = (0..chars.len()).filter(|i| chars[*i] == ' ').collect();
                if !spaces.is_empty() {
                    chars.remove(spaces[at.index(spaces.len())]);
                }
            }
            Damage::Double(at) => {
                let at = at.index(chars.len());
                chars.insert(at, chars[at]);
            }
            Damage::Insert(at, piece) => {
                let at = at.index(chars.len() + 1);
                chars.splice(at..at, piece.chars());
            }
            Damage::Capitals(at) => {
                let at = at.index(chars.len());
                for c in chars.iter_mut().skip(at).take_while(|c| **c != ' ') {
                    *c = c.to_ascii_uppercase();
                }
            }
            Damage::CutAt(at) => chars.truncate(at.index(chars.len())),
        }
        chars.into_iter().collect()
    }
}
