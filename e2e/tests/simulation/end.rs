//! One end of a line to PostgreSQL, read message by message.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) struct End {
    stream: TcpStream,
    read: Vec<u8>,
}

impl End {
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).ok();
        Self { stream, read: Vec::with_capacity(8_192) }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// A message with its type and its length.
    pub(crate) async fn message(&mut self) -> Option<Vec<u8>> {
        self.framed(1).await
    }

    /// The first message of a client has no type.
    pub(crate) async fn untyped(&mut self) -> Option<Vec<u8>> {
        self.framed(0).await
    }

    async fn framed(&mut self, type_bytes: usize) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = self.read.get(type_bytes..type_bytes + 4) {
                let length = u32::from_be_bytes(length.try_into().unwrap());
                let whole = type_bytes + usize::try_from(length).unwrap();
                if self.read.len() >= whole {
                    let rest = self.read.split_off(whole);
                    return Some(std::mem::replace(&mut self.read, rest));
                }
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }
}
