//! One HTTP/2 connection written frame by frame (RFC 9113), so that requests can be sent that no library would build.
//!
//! Header blocks are written with neither Huffman coding nor a dynamic table (RFC 7541), and the peer is asked for no
//! table either; of its answers only the status is read from the headers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};

use crate::raw::{Answer, PATIENCE, is_end};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// SETTINGS_HEADER_TABLE_SIZE is 0.
const NO_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];
/// SETTINGS_MAX_FRAME_SIZE, unless the peer says otherwise.
const MAX_FRAME: usize = 16_384;

/// A header field of a request, pseudo-headers included: name and value, any bytes.
pub type Field = (Vec<u8>, Vec<u8>);

/// What the peer sent (RFC 9113 section 4.1).
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A connection on which each request is a stream.
pub struct Frames {
    stream: TcpStream,
    next: u32,
}

impl Frames {
    /// Connects, and says the preface.
    pub fn open(peer: SocketAddr) -> Result<Frames> {
        let stream = TcpStream::connect(peer).with_context(|| format!("{peer}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut frames = Frames { stream, next: 1 };
        frames.write(PREFACE)?;
        frames.frame(SETTINGS, 0, 0, &NO_TABLE)?;
        Ok(frames)
    }

    /// Opens a stream with these fields, in this order; gives its number. `ends` says that no body follows.
    pub fn headers(&mut self, fields: &[Field], ends: bool) -> Result<u32> {
        let id = self.next;
        self.next += 2;
        self.block(id, fields, ends)?;
        Ok(id)
    }

    /// Ends a stream with these fields.
    pub fn trailers(&mut self, id: u32, fields: &[Field]) -> Result<()> {
        self.block(id, fields, true)
    }

    /// Sends a part of a stream's body.
    pub fn data(&mut self, id: u32, bytes: &[u8], ends: bool) -> Result<()> {
        self.frame(DATA, if ends { END_STREAM } else { 0 }, id, bytes)
    }

    fn block(&mut self, id: u32, fields: &[Field], ends: bool) -> Result<()> {
        let mut block = Vec::new();
        for (name, value) in fields {
            // RFC 7541 section 6.2.2: literal, not indexed, with a name of its own.
            block.push(0);
            for text in [name, value] {
                length(text.len(), &mut block);
                block.extend(text);
            }
        }
        let mut parts = block.chunks(MAX_FRAME).peekable();
        let mut kind = HEADERS;
        while let Some(part) = parts.next() {
            let mut flags = 0;
            if kind == HEADERS && ends {
                flags |= END_STREAM;
            }
            if parts.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.frame(kind, flags, id, part)?;
            kind = CONTINUATION;
        }
        Ok(())
    }

    /// Any frame (RFC 9113 section 4.1).
    pub fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<()> {
        let size = u32::try_from(payload.len())?.to_be_bytes();
        let mut frame = size.get(1..).unwrap_or_default().to_vec();
        frame.extend([kind, flags]);
        frame.extend(id.to_be_bytes());
        frame.extend(payload);
        self.write(&frame)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.write_all(bytes) {
            Err(error) if is_end(error.kind()) => Ok(()),
            done => Ok(done?),
        }
    }

    /// The answer on a stream, whole.
    pub fn answer(&mut self, id: u32) -> Result<Answer> {
        let (mut status, mut body) = (None, Vec::new());
        loop {
            let Some(frame) = self.next_frame()? else {
                return Ok(Answer::Ended);
            };
            let Frame {
                kind,
                flags,
                stream,
                payload,
            } = frame;
            match kind {
                SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[])?,
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload)?,
                GOAWAY => return Ok(Answer::Ended),
                RST_STREAM if stream == id => return Ok(Answer::Ended),
                HEADERS if stream == id => {
                    ensure!(flags & (PADDED | PRIORITY) == 0, "padding or a priority");
                    let code = read_status(&payload)?;
                    // Trailers have none, and informational answers do not count.
                    status = code.filter(|code| *code >= 200).or(status);
                }
                DATA if stream == id => body.extend(payload),
                _ => continue,
            }
            if stream == id && flags & END_STREAM != 0 {
                return Ok(Answer::Response {
                    status: status.context("an answer without a status")?,
                    headers: Vec::new(),
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
            }
        }
    }

    /// None at the end of the connection.
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head) {
            Err(error) if is_end(error.kind()) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("no answer in time"),
            done => done?,
        }
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Ok(Some(Frame {
            kind,
            flags,
            stream,
            payload,
        }))
    }
}

/// RFC 7541 section 5.1 with a prefix of 7 bits, the Huffman bit not set.
fn length(length: usize, block: &mut Vec<u8>) {
    const PREFIX: usize = 127;
    let Some(mut rest) = length.checked_sub(PREFIX) else {
        block.push(length as u8);
        return;
    };
    block.push(PREFIX as u8);
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// `:status`, which comes first; none in trailers.
fn read_status(block: &[u8]) -> Result<Option<u16>> {
    // RFC 7541 section 6.3: the table that we asked for.
    let block = block.strip_prefix(&[0x20]).unwrap_or(block);
    match block {
        // Appendix A: whole fields of the static table.
        [index @ 0x88..=0x8e, ..] => Ok([200, 204, 206, 304, 400, 404, 500]
            .get(usize::from(index - 0x88))
            .copied()),
        // Section 6.2: the name is the static table's eighth, the value follows.
        [0x08 | 0x18 | 0x48, size, value @ ..] => {
            let text = value.get(..usize::from(size & 0x7f));
            let text = text.context("a value that is cut off")?;
            let digits = match size & 0x80 {
                0 => String::from_utf8(text.to_vec())?,
                _ => huffman_digits(text)?,
            };
            Ok(Some(digits.parse()?))
        }
        _ => Ok(None),
    }
}

/// RFC 7541 appendix B, of which digits need little: 0 to 2 have five bits, 3 to 9 have six.
fn huffman_digits(text: &[u8]) -> Result<String> {
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let mut digits = String::new();
    loop {
        let mut code = 0;
        let mut read = 0;
        while read < 5 || (read == 5 && code > 2) {
            // What is left over is padding.
            let Some(bit) = bits.next() else {
                return Ok(digits);
            };
            code = code << 1 | bit;
            read += 1;
        }
        let digit = match (read, code) {
            (5, digit) => digit,
            (_, code @ 0b01_1001..=0b01_1111) => code - 0b01_1001 + 3,
            _ => bail!("no digit"),
        };
        digits.push(char::from(b'0' + digit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_each_of_its_forms() {
        for (block, status) in [
            (&b"\x88"[..], Some(200)),
            (b"\x20\x8c\x00", Some(400)),
            // RFC 7541 appendix C.6.1: 302.
            (b"\x48\x82\x64\x02", Some(302)),
            (b"\x08\x03403", Some(403)),
            (b"\x00\x01a\x01b", None),
        ] {
            assert_eq!(read_status(block).unwrap(), status, "{block:?}");
        }
    }

    #[test]
    fn lengths_are_written_as_the_rfc_has_them() {
        for (size, bytes) in [(126, &[126][..]), (127, &[127, 0]), (1337, &[127, 186, 9])] {
            let mut block = Vec::new();
            length(size, &mut block);
            assert_eq!(block, bytes);
        }
    }
}
