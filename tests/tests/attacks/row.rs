//! One row of a table: what is sent, and what has to become of it.

use scimesh_tests::frames::Field;

/// What a client sends. `$name` stands for a token of the siege's.
pub(crate) enum Sent {
    /// Over HTTP/1, to the byte.
    Bytes(Vec<u8>),
    /// One stream of HTTP/2: its fields in this order, and its trailers.
    Fields(Vec<Field>, Vec<Field>),
}

/// One attack, or one request that only looks like one.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) sent: Sent,
    /// For each answer, `403 nobody`: refused by the filter, for this reason, and
    /// `grpc 7 nobody` so that gRPC understands it; `400`: by Envoy itself; `closed`: the connection
    /// or the stream ends; `GET /x HTTP/1.1`: allowed, and this is what arrives. With ` | ` between them.
    pub(crate) expected: String,
    /// Headers of what arrives: all values under a name.
    pub(crate) arriving: Vec<(&'static str, Vec<String>)>,
    /// What arrives besides, before all else.
    pub(crate) before: Vec<String>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, sent: Sent, expected: impl Into<String>) -> Row {
        Row {
            name: name.into(),
            sent,
            expected: expected.into(),
            arriving: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Upstream sees this first, whatever becomes of the rest.
    pub(crate) fn after(mut self, line: &str) -> Row {
        self.before.push(line.to_owned());
        self
    }

    /// Upstream sees these values, and no others, under this name.
    pub(crate) fn arriving(mut self, name: &'static str, values: &[&str]) -> Row {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.arriving.push((name, values));
        self
    }
}

/// A request of HTTP/1: its first line and headers, each line's end and the empty line added.
pub(crate) fn lines(lines: &[impl AsRef<[u8]>]) -> Sent {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend(line.as_ref());
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    Sent::Bytes(bytes)
}

/// These very bytes.
pub(crate) fn bytes(bytes: &[u8]) -> Sent {
    Sent::Bytes(bytes.to_vec())
}

/// GET with the member's token.
pub(crate) fn get(target: &[u8]) -> Sent {
    let line = [b"GET ", target, b" HTTP/1.1"].concat();
    lines(&[
        &line[..],
        b"host: svc.example",
        b"authorization: Bearer $member",
    ])
}

/// GET with another token, or whatever else follows `authorization: `.
pub(crate) fn authorized(target: &str, authorization: &str) -> Sent {
    let line = format!("GET {target} HTTP/1.1");
    let authorization = format!("authorization: {authorization}");
    lines(&[&line, "host: svc.example", &authorization])
}

/// A stream of HTTP/2 with these fields and no others.
pub(crate) fn fields(fields: &[(&str, &[u8])]) -> Sent {
    Sent::Fields(owned(fields), Vec::new())
}

/// GET over HTTP/2 with the member's token and more fields.
pub(crate) fn get2(path: &[u8], more: &[(&str, &[u8])]) -> Sent {
    let mut all = owned(&[
        (":method", b"GET"),
        (":scheme", b"http"),
        (":authority", b"svc.example"),
        (":path", path),
        ("authorization", b"Bearer $member"),
    ]);
    all.extend(owned(more));
    Sent::Fields(all, Vec::new())
}

pub(crate) fn owned(fields: &[(&str, &[u8])]) -> Vec<Field> {
    let owned = |(name, value): &(&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
    fields.iter().map(owned).collect()
}
