//! A service behind the proxy that keeps every request as it came, byte for byte, and answers what its path asks for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Method, target and version.
    pub line: String,
    /// Names as they came, and values.
    pub headers: Vec<(String, String)>,
    /// The body, chunks put together, lossily as text.
    pub body: String,
}

impl Arrival {
    /// All values of this header, whatever its case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let headers = self.headers.iter();
        headers
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// A running service. `/hop?to=X` answers 302 to X, `/flaky` 503 unless the request before was to it as well, an upgrade
/// 101, everything else 200.
pub struct Recorder {
    address: SocketAddr,
    arrivals: Arrivals,
    server: JoinHandle<()>,
}

impl Recorder {
    /// Serves on a free port.
    pub async fn start() -> Result<Recorder> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrivals = Arrivals::default();
        let shared = arrivals.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let arrivals = shared.clone();
                tokio::spawn(async move {
                    // A client that goes away ends its connection, and nothing else.
                    let _ = serve(stream, &arrivals).await;
                });
            }
        });
        Ok(Recorder {
            address,
            arrivals,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that has arrived since the last call.
    pub fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(stream: TcpStream, arrivals: &Arrivals) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut again = false;
    loop {
        let line = line(&mut stream).await?;
        if line.is_empty() {
            return Ok(());
        }
        let mut arrival = Arrival {
            line,
            headers: Vec::new(),
            body: String::new(),
        };
        loop {
            let line = self::line(&mut stream).await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let header = (name.to_owned(), value.trim().to_owned());
            arrival.headers.push(header);
        }
        let path = arrival
            .line
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let upgrade = !arrival.values("upgrade").is_empty();
        let chunked = !arrival.values("transfer-encoding").is_empty();
        let length = arrival.values("content-length").first().map(|v| v.parse());
        let length: usize = length.transpose()?.unwrap_or(0);
        let place = {
            let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.push(arrival);
            arrivals.len() - 1
        };
        let mut body = Vec::new();
        if chunked {
            chunks(&mut stream, &mut body).await?;
        } else {
            body.resize(length, 0);
            stream.read_exact(&mut body).await?;
        }
        if let Some(arrival) = arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(place)
        {
            arrival.body = String::from_utf8_lossy(&body).into_owned();
        }
        let answer = if upgrade {
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
                .to_owned()
        } else if let Some((_, to)) = path.split_once("/hop?to=") {
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
        } else if path == "/flaky" && !again {
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned()
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()
        };
        again = path == "/flaky";
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// A body of chunks (RFC 9112 section 7.1), its trailers passed over.
async fn chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let size = line(stream).await?;
        let length = usize::from_str_radix(&size, 16).with_context(|| size.clone())?;
        if length == 0 {
            while !line(stream).await?.is_empty() {}
            return Ok(());
        }
        let start = body.len();
        body.resize(start + length, 0);
        let chunk = body.get_mut(start..).unwrap_or_default();
        stream.read_exact(chunk).await?;
        line(stream).await?;
    }
}

/// Without its end; empty at the end of the connection as well.
async fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    let line = String::from_utf8_lossy(&line);
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
