//! The host's form of a header map: u32 count, then a (name size, value size) pair of u32 for each header, then each
//! name and value with a NUL behind it; numbers little-endian.
//!
//! Values are any bytes: nothing here takes them for text.

use scimesh_engine::Headers;

/// What decides of a request's headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestHeaders<'a> {
    pub(crate) method: &'a [u8],
    /// None for CONNECT.
    pub(crate) path: Option<&'a [u8]>,
    pub(crate) authority: &'a [u8],
    content_type: &'a [u8],
}

impl<'a> RequestHeaders<'a> {
    /// None if the map is broken, or if there is no method: no request arrives without one.
    pub(crate) fn read(map: &'a [u8]) -> Option<RequestHeaders<'a>> {
        let mut method = None;
        let mut path = None;
        let mut authority = None;
        let mut content_type = None;
        for_each(map, |name, value| match name {
            b":method" => method = Some(value),
            b":path" => path = Some(value),
            b":authority" => authority = Some(value),
            b"content-type" => content_type = Some(value),
            _ => {}
        })?;
        Some(RequestHeaders {
            method: method?,
            path,
            authority: authority.unwrap_or_default(),
            content_type: content_type.unwrap_or_default(),
        })
    }

    /// Whether Envoy takes the request for gRPC, and so gives its own responses to it that form.
    pub(crate) fn is_grpc(&self) -> bool {
        let subtype = self.content_type.strip_prefix(b"application/grpc");
        self.path.is_some() && matches!(subtype, Some([] | [b'+', ..]))
    }
}

/// What a client wrote that an upstream might take for `own`, or that would take `own` away.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claimed<'a> {
    /// Names of headers, each once.
    pub(crate) names: Vec<&'a [u8]>,
    /// If `Connection` lists any of `own`: what else it lists. A next hop removes what is listed (RFC 9110 section 7.6.1).
    /// Envoy does so before any filter, and takes the names out; but an upgrade's `Connection` it forwards as it came.
    pub(crate) connection: Option<Vec<u8>>,
}

impl<'a> Claimed<'a> {
    /// None if the map is broken.
    pub(crate) fn read(map: &'a [u8], own: &Headers) -> Option<Claimed<'a>> {
        let mut claimed = Claimed::default();
        let mut options = Vec::new();
        for_each(map, |name, value| {
            if own.claims(name) {
                claimed.names.push(name);
            }
            if name == b"connection" {
                options.extend(value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
            }
        })?;
        claimed.names.sort_unstable();
        claimed.names.dedup();
        let listed = options.len();
        options.retain(|option| !own.claims(option));
        claimed.connection = (options.len() < listed).then(|| options.join(&b", "[..]));
        Some(claimed)
    }
}

/// Visits every name and its value. None if the map is broken; some of it may have been visited then.
pub(crate) fn for_each<'a>(map: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    let (count, mut sizes) = number(map)?;
    let mut rest = sizes.get(count.checked_mul(8)?..)?;
    for _ in 0..count {
        let (name_size, after) = number(sizes)?;
        let (value_size, after) = number(after)?;
        sizes = after;
        let (name, after) = text(rest, name_size)?;
        let (value, after) = text(after, value_size)?;
        rest = after;
        visit(name, value);
    }
    Some(())
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

fn text(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    Some((text, rest.get(1..)?))
}

/// Writes a map for the host.
pub(crate) fn encode(headers: &[(&str, impl AsRef<str>)]) -> Vec<u8> {
    let size = |text: &str| (text.len() as u32).to_le_bytes();
    let mut map = Vec::from((headers.len() as u32).to_le_bytes());
    for (name, value) in headers {
        map.extend(size(name));
        map.extend(size(value.as_ref()));
    }
    for (name, value) in headers {
        for text in [name, value.as_ref()] {
            map.extend(text.as_bytes());
            map.push(0);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use scimesh_engine::Policy;

    #[test]
    fn a_request_is_read_among_other_headers() {
        let map = encode(&[
            (":authority", "svc.example.com:8080"),
            ("x-a", ""),
            (":path", "/a?b"),
            (":method", "GET"),
        ]);
        let read = RequestHeaders {
            method: b"GET",
            path: Some(b"/a?b"),
            authority: b"svc.example.com:8080",
            content_type: b"",
        };
        assert_eq!(RequestHeaders::read(&map), Some(read));
    }

    #[test]
    fn a_value_may_be_any_bytes() {
        let mut map = encode(&[(":method", "GET"), (":path", "/?")]);
        let at = map.len() - 2;
        map[at] = 0xff;
        let headers = RequestHeaders::read(&map).unwrap();
        assert_eq!(headers.path, Some(&b"/\xff"[..]));
    }

    #[test]
    fn a_connect_has_no_path() {
        let map = encode(&[(":method", "CONNECT"), (":authority", "a:1")]);
        assert_eq!(RequestHeaders::read(&map).unwrap().path, None);
    }

    #[test]
    fn grpc_is_what_envoy_takes_for_it() {
        let is_grpc = |content_type: &str, path: &str| {
            let map = encode(&[
                (":method", "POST"),
                (path, "/a.B/C"),
                ("content-type", content_type),
            ]);
            RequestHeaders::read(&map).unwrap().is_grpc()
        };
        assert!(is_grpc("application/grpc", ":path"));
        assert!(is_grpc("application/grpc+proto", ":path"));
        for other in [
            "application/grpc-web",
            "application/grpcx",
            "application/gr",
            "",
        ] {
            assert!(!is_grpc(other, ":path"), "{other}");
        }
        assert!(!is_grpc("application/grpc", "x-path"));
    }

    fn policy() -> Policy {
        let policy = serde_json::json!({
            "tenant": "corp",
            "feed": { "cluster": "feed" },
            "headers": { "subject": "x-who", "groups": "x-which-groups" },
            "rules": [{ "name": "all", "to": [{ "paths": ["/{**}"] }], "allow": "PUBLIC" }],
        });
        Policy::parse(policy.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_spelling_of_our_names_is_claimed_once() {
        let map = encode(&[
            (":method", "GET"),
            ("x_who", "a"),
            ("x-note", ""),
            ("x-who", "b"),
            ("x_who", "c"),
            ("x-whom", ""),
            ("X.Which~GROUPS", ""),
            ("", "x-who"),
            ("connection", "upgrade"),
        ]);
        let claimed = Claimed {
            names: vec![b"X.Which~GROUPS", b"x-who", b"x_who"],
            connection: None,
        };
        assert_eq!(Claimed::read(&map, policy().headers()), Some(claimed));
        assert_eq!(
            Claimed::read(&map[..map.len() - 1], policy().headers()),
            None
        );
        let nothing = Claimed::read(&map, &Headers::default()).unwrap();
        assert_eq!(nothing, Claimed::default());
    }

    #[test]
    fn connection_keeps_what_is_not_ours() {
        let connection = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("connection", *line)).collect();
            let map = encode(&lines);
            let claimed = Claimed::read(&map, policy().headers()).unwrap();
            claimed
                .connection
                .map(|left| String::from_utf8(left).unwrap())
        };
        assert_eq!(connection(&[]), None);
        assert_eq!(connection(&["upgrade, x-note"]), None);
        let left = |text: &str| Some(text.to_owned());
        assert_eq!(
            connection(&["upgrade, X-Who,x-note"]),
            left("upgrade, x-note")
        );
        assert_eq!(
            connection(&["upgrade", "\tx_which_groups "]),
            left("upgrade")
        );
        assert_eq!(connection(&["x-who,x_who"]), left(""));
    }

    #[test]
    fn a_broken_map_is_none() {
        let map = encode(&[(":method", "GET"), (":path", "/")]);
        for size in 0..map.len() {
            assert_eq!(RequestHeaders::read(&map[..size]), None, "{size} bytes");
        }
        assert_eq!(RequestHeaders::read(&[0xff; 64]), None);
        assert_eq!(RequestHeaders::read(&encode(&[(":path", "/")])), None);
    }
}
