//! A client of the stock protocol (Socket.IO 5 over Engine.IO 4 over WebSocket) that only listens.

use std::{convert::Infallible, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

use super::CliError;

/// How long each step of the handshake may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How an outcome's packet begins.
const OUTCOME: &str = r#"42["Profile_Response","#;

/// A socket that has signed in.
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Connects to the service at `address`, `host:port`, and signs in, with a buffer of `buffer` bytes.
    ///
    /// # Errors
    /// When it is refused, or gets no answer.
    pub(super) async fn open(address: &str, token: &str, buffer: usize) -> Result<Self, CliError> {
        let tcp = timeout(LIMIT, TcpStream::connect(address)).await??;
        tcp.set_nodelay(true)?;
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let config = WebSocketConfig::default().read_buffer_size(buffer).max_message_size(None);
        let (stream, _) = timeout(LIMIT, client_async_with_config(url, tcp, Some(config))).await??;
        let mut socket = Self { stream };
        socket.until(|packet| packet.starts_with('0')).await?;
        socket.send(format!("40{}", json!({ "token": token }))).await?;
        let answer = socket.until(|packet| packet.starts_with("40") || packet.starts_with("44")).await?;
        if let Some(why) = answer.strip_prefix("44") {
            return Err(format!("the service refused a socket: {why}").into());
        }
        Ok(socket)
    }

    /// Joins a room; with `answered`, waits until the service confirms it.
    pub(super) async fn join(&mut self, room: &str, answered: bool) -> Result<(), CliError> {
        self.send(format!("421{}", json!(["joinRoom", room]))).await?;
        if answered {
            let answer = self.until(|packet| packet.starts_with("431")).await?;
            if !answer.contains(r#""ok":true"#) {
                return Err(format!("the service refused room {room}: {}", &answer[3..]).into());
            }
        }
        Ok(())
    }

    /// Listens for outcomes until the socket is closed: for each, reports whether its `Status` is true.
    pub(super) async fn listen(mut self, mut hear: impl FnMut(bool)) -> Result<Infallible, CliError> {
        loop {
            let packet = self.next().await?;
            if packet.starts_with(OUTCOME) {
                // Inside a string the quotes would be escaped, so this is the field.
                hear(packet.contains(r#""Status":true"#));
            }
        }
    }

    /// The next packet that matches; others are skipped.
    async fn until(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Utf8Bytes, CliError> {
        let looking = async {
            loop {
                let packet = self.next().await?;
                if wanted(&packet) {
                    return Ok(packet);
                }
            }
        };
        timeout(LIMIT, looking).await.map_err(|_| "the service does not answer a socket")?
    }

    /// The next packet that is not a ping; pings are answered.
    async fn next(&mut self) -> Result<Utf8Bytes, CliError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(packet))) if packet == "2" => self.send("3".to_owned()).await?,
                Some(Ok(Message::Text(packet))) => return Ok(packet),
                Some(Ok(Message::Close(_))) | None => return Err("the service closed a socket".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("a socket failed: {error}").into()),
            }
        }
    }

    async fn send(&mut self, packet: String) -> Result<(), CliError> {
        Ok(self.stream.send(Message::text(packet)).await?)
    }
}
