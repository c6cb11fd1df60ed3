//! Addresses of this machine for servers that a test starts.

use std::net::{SocketAddr, TcpListener};

/// Returns an address of this machine on which nobody listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("this machine has a free port");
    listener.local_addr().expect("a listener has an address")
}
