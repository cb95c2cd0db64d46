//! No request hides in what is taken for another's body.

use crate::row::{Row, bytes, fields};

/// A request in what another takes for its body, and bodies of no certain length.
pub(crate) fn rows() -> Vec<Row> {
    let post = |headers: &str, body: &str| {
        bytes(format!("POST /x HTTP/1.1\r\nhost: svc.example\r\nauthorization: Bearer $member\r\n{headers}\r\n\r\n{body}").as_bytes())
    };
    const HIDDEN: &str = "GET /admin HTTP/1.1\r\nhost: svc.example\r\n\r\n";
    let length = |n: usize| format!("content-length: {n}");
    let both = format!("{}\r\ntransfer-encoding: chunked", length(4));
    let get2_body = fields(&[
        (":method", b"POST"),
        (":scheme", b"http"),
        (":authority", b"svc.example"),
        (":path", b"/x"),
        ("content-length", b"5"),
        ("authorization", b"Bearer $member"),
    ]);
    vec![
        Row::new(
            "Content-Length and Transfer-Encoding",
            post(&both, &format!("0\r\n\r\n{HIDDEN}")),
            "400",
        ),
        Row::new(
            "the other way round",
            post(
                &format!("transfer-encoding: chunked\r\n{}", length(4)),
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
            "400",
        ),
        Row::new(
            "two lengths",
            post(
                &format!("{}\r\n{}", length(0), length(HIDDEN.len())),
                HIDDEN,
            ),
            "400",
        ),
        Row::new(
            "a list of lengths",
            post(&format!("content-length: 0, {}", HIDDEN.len()), HIDDEN),
            "400",
        ),
        Row::new("a negative length", post("content-length: -1", ""), "400"),
        Row::new(
            "a length with a sign",
            post("content-length: +4", "abcd"),
            "400",
        ),
        Row::new(
            "a length in hexadecimal",
            post("content-length: 0x4", "abcd"),
            "400",
        ),
        Row::new(
            "an unknown encoding",
            post("transfer-encoding: xchunked", HIDDEN),
            "501",
        ),
        Row::new(
            "chunked behind another encoding",
            post("transfer-encoding: gzip, chunked", "0\r\n\r\n"),
            "501",
        ),
        Row::new(
            "chunked twice",
            post(
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                "0\r\n\r\n",
            ),
            "501",
        ),
        Row::new(
            "chunked and a tab",
            post("transfer-encoding:\tchunked", "0\r\n\r\n"),
            "POST /x HTTP/1.1",
        ),
        Row::new(
            "a space before the colon",
            post("transfer-encoding : chunked", "0\r\n\r\n"),
            "400",
        ),
        Row::new(
            "a request in a chunked body",
            post(
                "transfer-encoding: chunked",
                &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()),
            ),
            "POST /x HTTP/1.1",
        ),
        Row::new(
            "a request in a body",
            post(&length(HIDDEN.len()), HIDDEN),
            "POST /x HTTP/1.1",
        ),
        Row::new(
            "a request behind a body is one of its own",
            post(&length(0), HIDDEN),
            "POST /x HTTP/1.1 | 403 nobody",
        ),
        Row::new("a body that is not sent", get2_body, "closed"),
    ]
}
