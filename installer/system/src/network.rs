//! What only the network can tell: raw frames on a port, a datagram and its answer, the time of day. A trait of its own, so
//! that what only looks at disks need not know of it.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use camino::Utf8Path;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout},
    sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType},
};

use crate::{Live, SystemError};

/// Longest frame that is taken: jumbo frames are of no interest here.
const FRAME: usize = 2048;

/// Frames and datagrams.
pub trait Network: Send + Sync {
    /// Sends each of `frames` at intervals of `pause` and collects the frames of that EtherType that arrive on the port until
    /// `length` has passed. Frames begin with the Ethernet header.
    fn frames(
        &self,
        interface: &str,
        ethertype: u16,
        frames: &[Vec<u8>],
        pause: Duration,
        length: Duration,
    ) -> Result<Vec<Vec<u8>>, SystemError>;

    /// Sends a datagram and waits for one answer.
    fn ask(
        &self,
        server: SocketAddr,
        request: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, SystemError>;

    /// Time of day: since 1970, UTC.
    fn clock(&self) -> Duration;

    /// Sets the system's clock to this time since 1970.
    fn set_clock(&self, time: Duration) -> Result<(), SystemError>;

    /// Sets the hardware clock, in UTC, to this time since 1970.
    fn set_hardware_clock(&self, time: Duration) -> Result<(), SystemError>;
}

impl Network for Live {
    fn frames(
        &self,
        interface: &str,
        ethertype: u16,
        frames: &[Vec<u8>],
        pause: Duration,
        length: Duration,
    ) -> Result<Vec<Vec<u8>>, SystemError> {
        exchange(interface, ethertype, frames, pause, length)
            .map_err(SystemError::file("listen on", interface.into()))
    }

    fn ask(
        &self,
        server: SocketAddr,
        request: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, SystemError> {
        let ask = || -> io::Result<Vec<u8>> {
            let any: SocketAddr = if server.is_ipv4() {
                ([0, 0, 0, 0], 0).into()
            } else {
                ([0_u16; 8], 0).into()
            };
            let socket = UdpSocket::bind(any)?;
            // Connected: answers of anybody else are dropped, and a closed port is an error at once.
            socket.connect(server)?;
            socket.set_read_timeout(Some(patience))?;
            socket.send(request)?;
            let mut answer = vec![0; FRAME];
            let length = socket.recv(&mut answer)?;
            answer.truncate(length);
            Ok(answer)
        };
        ask().map_err(SystemError::file("ask", server.to_string().as_str().into()))
    }

    fn clock(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn set_clock(&self, time: Duration) -> Result<(), SystemError> {
        let set = || {
            let time = nix::sys::time::TimeSpec::from_duration(time);
            nix::time::clock_settime(nix::time::ClockId::CLOCK_REALTIME, time)
        };
        set()
            .map_err(io::Error::from)
            .map_err(SystemError::file("set", Utf8Path::new("the clock")))
    }

    fn set_hardware_clock(&self, time: Duration) -> Result<(), SystemError> {
        let path = Utf8Path::new("/dev/rtc0");
        let set = || {
            let clock = std::fs::File::open(path)?;
            crate::ioctl::set_hardware_clock(&clock, time)
        };
        set().map_err(SystemError::file("set", path))
    }
}

fn exchange(
    interface: &str,
    ethertype: u16,
    frames: &[Vec<u8>],
    pause: Duration,
    length: Duration,
) -> io::Result<Vec<Vec<u8>>> {
    let socket = bound(interface, ethertype)?;
    let start = Instant::now();
    let mut sent = 0;
    let mut received = Vec::new();
    loop {
        let passed = start.elapsed();
        if let Some(frame) = frames.get(sent)
            && passed >= pause * u32::try_from(sent).unwrap_or(u32::MAX)
        {
            socket::send(socket.as_raw_fd(), frame, MsgFlags::empty())?;
            sent += 1;
        }
        let Some(left) = length.checked_sub(passed) else {
            return Ok(received);
        };
        let next = if sent < frames.len() {
            left.min(pause)
        } else {
            left
        };
        let timeout = PollTimeout::try_from(next).unwrap_or(PollTimeout::from(100_u16));
        let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if nix::poll::poll(&mut waiting, timeout)? == 0 {
            continue;
        }
        let mut frame = vec![0; FRAME];
        match socket::recv(socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                frame.truncate(length);
                received.push(frame);
            }
            // The port went down under us: what was heard so far still counts.
            Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ENETDOWN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A packet socket on one interface (packet(7)). The protocol comes with the address, so that no frame of another interface
/// can arrive before.
fn bound(interface: &str, ethertype: u16) -> io::Result<OwnedFd> {
    let socket = socket::socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let index = nix::net::if_::if_nametoindex(interface)?;
    socket::bind(socket.as_raw_fd(), &address(index, ethertype)?)?;
    Ok(socket)
}

#[expect(
    unsafe_code,
    reason = "nix has no safe way to make the address of an interface"
)]
fn address(index: u32, ethertype: u16) -> io::Result<socket::LinkAddr> {
    use nix::libc;
    use socket::SockaddrLike as _;
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: the pointer is to a whole sockaddr_ll that lives until the call has copied it, and the length is its size.
    let made = unsafe {
        socket::LinkAddr::from_raw((&raw const address).cast::<libc::sockaddr>(), Some(length))
    };
    made.ok_or_else(|| io::Error::other("the address of the interface was not taken"))
}
