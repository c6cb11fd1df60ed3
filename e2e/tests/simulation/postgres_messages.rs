//! PostgreSQL's wire protocol as far as the proxy needs it: whole messages, and which of them make a statement.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).ok();
        Self { stream, read: Vec::with_capacity(8_192) }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// Reads a message: type, length, body.
    pub(crate) async fn message(&mut self) -> Option<Vec<u8>> {
        self.framed(1).await
    }

    /// Reads a client's first message, which has no type byte.
    pub(crate) async fn startup_message(&mut self) -> Option<Vec<u8>> {
        self.framed(0).await
    }

    async fn framed(&mut self, type_bytes: usize) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = self.read.get(type_bytes..type_bytes + 4) {
                let length = u32::from_be_bytes(length.try_into().unwrap());
                let total = type_bytes + usize::try_from(length).unwrap();
                if self.read.len() >= total {
                    let rest = self.read.split_off(total);
                    return Some(std::mem::replace(&mut self.read, rest));
                }
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// The messages that a client sends before it waits for an answer.
pub(crate) struct Statement {
    pub(crate) bytes: Vec<u8>,
    /// False for a mere Parse or Describe, and for what the pool does on its own.
    pub(crate) executes: bool,
}

impl Statement {
    pub(crate) async fn read(client: &mut Connection) -> Option<Self> {
        let mut statement = Self { bytes: Vec::new(), executes: false };
        loop {
            let message = client.message().await?;
            statement.executes |= message[0] == b'E' || message[0] == b'Q' && !is_housekeeping(&message);
            statement.bytes.extend_from_slice(&message);
            match message[0] {
                b'S' | b'Q' => return Some(statement),
                b'X' => return None,
                _ => {}
            }
        }
    }

    pub(crate) fn is_commit(&self) -> bool {
        self.bytes.get(5..).is_some_and(|text| text.starts_with(b"COMMIT"))
    }

    pub(crate) fn is_ping(&self) -> bool {
        self.bytes[0] == b'Q' && self.bytes.get(5..).is_some_and(|text| text.starts_with(b"/* SQLx ping"))
    }
}

/// Whether the pool sends this by itself, to a connection that nobody uses.
fn is_housekeeping(query: &[u8]) -> bool {
    let text = query.get(5..).unwrap_or_default();
    text.starts_with(b"/*") || text.starts_with(b"ROLLBACK")
}
