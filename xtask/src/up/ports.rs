//! The addresses of the processes: the usual ones where they are free, else the next free ports.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, anyhow};

/// How far above the usual port to look.
const REACH: u16 = 100;

/// Finds an address for each of `wanted` (variable, address); says on the screen which ones had to move.
pub(crate) fn choose(wanted: &[(&'static str, String)]) -> anyhow::Result<Vec<(&'static str, SocketAddr)>> {
    let mut addresses = Vec::new();
    for (name, address) in wanted {
        let address: SocketAddr =
            address.parse().with_context(|| format!("{name} must be like 127.0.0.1:8080"))?;
        // Held until all are chosen, so that no two processes are given the same port.
        addresses.push((*name, address, TcpListener::bind(address).ok()));
    }
    let mut chosen = Vec::new();
    let mut moved = Vec::new();
    for (name, address, listener) in &addresses {
        if listener.is_some() {
            chosen.push((*name, *address));
            continue;
        }
        let (address, listener) = next_free(*address).with_context(|| format!("no free port for {name}"))?;
        println!("{name}: the usual address is taken, using {address}");
        moved.push(listener);
        chosen.push((*name, address));
    }
    Ok(chosen)
}

fn next_free(taken: SocketAddr) -> anyhow::Result<(SocketAddr, TcpListener)> {
    for step in 1..=REACH {
        let Some(port) = taken.port().checked_add(step) else { break };
        let mut address = taken;
        address.set_port(port);
        if let Ok(listener) = TcpListener::bind(address) {
            return Ok((address, listener));
        }
    }
    Err(anyhow!("{taken} is taken, and so are the next {REACH}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over_and_no_port_is_given_twice() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let usual = taken.local_addr().unwrap();
        let chosen = choose(&[("A", usual.to_string()), ("B", usual.to_string())]).unwrap();
        let ports: Vec<u16> = chosen.iter().map(|(_, address)| address.port()).collect();
        assert!(ports.iter().all(|port| *port > usual.port()));
        assert_ne!(ports.first(), ports.last());
    }

    #[test]
    fn a_mistaken_address_is_named_by_its_variable() {
        let error = choose(&[("API_ADDR", "8080".to_owned())]).unwrap_err();
        assert!(error.to_string().starts_with("API_ADDR"), "{error}");
    }
}
