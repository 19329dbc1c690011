//! Who listens, from `/proc/net/{tcp,udp}{,6}` (proc_net(5)).

use std::collections::BTreeSet;

use camino::Utf8Path;
use system::System;

/// Protocol (`tcp`, `udp`) and port of every listener, on any address.
pub fn listeners(system: &dyn System) -> BTreeSet<(String, u16)> {
    let mut found = BTreeSet::new();
    for (file, protocol) in [
        ("tcp", "tcp"),
        ("tcp6", "tcp"),
        ("udp", "udp"),
        ("udp6", "udp"),
    ] {
        let bytes = system
            .read(&Utf8Path::new("/proc/net").join(file))
            .unwrap_or_default();
        for port in parse(&String::from_utf8_lossy(&bytes), protocol) {
            found.insert((protocol.to_owned(), port));
        }
    }
    found
}

fn parse(text: &str, protocol: &str) -> Vec<u16> {
    // TCP_LISTEN is 10; a bound, unconnected UDP socket is in TCP_CLOSE, 7 (include/net/tcp_states.h).
    let wanted = if protocol == "tcp" { "0A" } else { "07" };
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (_, port) = fields.next()?.rsplit_once(':')?;
            let state = fields.nth(1)?;
            (state == wanted).then(|| u16::from_str_radix(port, 16).ok())?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0CEA 0100007F:9C40 01 00000000:00000000 00:00000000 00000000   106        0 2 1 0 20 4 30 10 -1
   2: short
";
    const UDP6: &str = "  sl  local_address                         remote_address                        st
  100: 00000000000000000000000001000000:0143 00000000000000000000000000000000:0000 07 00000000:00000000
";

    #[test]
    fn listening_sockets_only() {
        assert_eq!(parse(TCP, "tcp"), [22]);
        assert_eq!(parse(UDP6, "udp"), [323]);
        assert!(parse("", "tcp").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[0-9A: \n]{0,200}") {
            parse(&text, "tcp");
        }
    }
}
