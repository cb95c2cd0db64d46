//! A WebSocket through the proxy to the service, which sends back what it gets.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::envoy::Envoy;

/// An open WebSocket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    sent: u64,
}

impl Socket {
    /// Opens `/socket` on a new connection.
    pub async fn open(envoy: &Envoy, token: &str) -> Result<Socket> {
        let address = envoy.address();
        let mut request = format!("ws://{address}/socket").into_client_request()?;
        let bearer = format!("Bearer {token}").parse()?;
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(address).await?;
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Socket { stream, sent: 0 })
    }

    /// Says something that it has not said before, and hears it.
    pub async fn exchange(&mut self) -> Result<()> {
        self.sent += 1;
        let said = format!("message {}", self.sent);
        self.stream.send(Message::text(said.clone())).await?;
        let next = tokio::time::timeout(Duration::from_secs(20), self.stream.next());
        match next.await.context("no echo")?.context("it was cut")?? {
            Message::Text(heard) => ensure!(heard.as_str() == said, "{heard} for {said}"),
            other => bail!("{other:?} for {said}"),
        }
        Ok(())
    }

    /// Waits until it is cut: its connection ends without a word of WebSocket's own.
    pub async fn cut(&mut self) -> Result<()> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.stream.next());
        match next.await.context("it is still open")? {
            None | Some(Err(_)) => Ok(()),
            Some(Ok(message)) => bail!("{message:?} on a socket that should be cut"),
        }
    }

    /// Closes it, and waits until the other side has.
    pub async fn close(mut self) -> Result<()> {
        self.stream.close(None).await?;
        while let Some(message) = self.stream.next().await {
            message?;
        }
        Ok(())
    }
}
