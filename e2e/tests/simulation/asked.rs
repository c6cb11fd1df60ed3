//! What a process asks its database for in one go, as far as the simulation has to understand it.

use crate::end::End;

pub(crate) struct Asked {
    pub(crate) bytes: Vec<u8>,
    pub(crate) does_something: bool,
}

impl Asked {
    pub(crate) async fn read(client: &mut End) -> Option<Self> {
        let mut asked = Self { bytes: Vec::new(), does_something: false };
        loop {
            let message = client.message().await?;
            asked.does_something |= message[0] == b'E' || message[0] == b'Q' && !is_housekeeping(&message);
            asked.bytes.extend_from_slice(&message);
            match message[0] {
                b'S' | b'Q' => return Some(asked),
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

/// What the pool does to a connection that was let go of: nothing waits for it.
fn is_housekeeping(query: &[u8]) -> bool {
    let text = query.get(5..).unwrap_or_default();
    text.starts_with(b"/*") || text.starts_with(b"ROLLBACK")
}
