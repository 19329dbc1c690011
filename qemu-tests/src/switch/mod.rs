//! A switch for simulated servers, in this process: VLANs, MTUs, link aggregation, LLDP, cables that are cut. It needs no
//! right on the host and leaves nothing behind. Ports are TCP listeners on 127.0.0.1; QEMU's `-netdev socket,connect=`
//! sends each frame behind its length (32 bits, big endian).

mod forward;
mod frame;
mod protocols;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

pub use forward::Port;
use forward::{Fabric, Out};
use frame::{HEADER, Mac, TAG_LENGTH};

/// Longest frame that is read; what QEMU never sends is not a frame.
const LONGEST: usize = 65_536 + HEADER + TAG_LENGTH;
/// A machine that does not take its frames for this long is as good as unplugged.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the switch says who it is. A real one does every 30 s.
const ANNOUNCE: Duration = Duration::from_secs(3);

/// A switch; it ends when it is dropped.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    state: Mutex<State>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct State {
    fabric: Fabric,
    cables: Vec<Option<TcpStream>>,
    /// Cut on purpose: stays cut when a machine starts again.
    cut: Vec<bool>,
}

impl Switch {
    /// Starts a switch with these ports.
    ///
    /// # Errors
    /// If there is no free port on 127.0.0.1.
    pub fn start(name: &str, ports: Vec<Port>) -> anyhow::Result<Self> {
        // A locally administered address that tells switches of one test apart.
        let own: Mac = [2, 0, 0, 0, 0, name.bytes().fold(0, u8::wrapping_add)];
        let count = ports.len();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            state: Mutex::new(State {
                fabric: Fabric::new(own, ports),
                cables: (0..count).map(|_| None).collect(),
                cut: vec![false; count],
            }),
            stop: AtomicBool::new(false),
        });
        let mut switch = Self {
            shared: Arc::clone(&shared),
            addresses: Vec::new(),
            threads: Vec::new(),
        };
        for port in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").context("no port for the switch")?;
            switch.addresses.push(listener.local_addr()?);
            let shared = Arc::clone(&shared);
            switch
                .threads
                .push(std::thread::spawn(move || shared.serve(port, &listener)));
        }
        switch
            .threads
            .push(std::thread::spawn(move || shared.announce()));
        Ok(switch)
    }

    /// Where QEMU connects to be plugged into a port.
    ///
    /// # Errors
    /// If there is no such port.
    pub fn address(&self, port: &str) -> anyhow::Result<SocketAddr> {
        let number = self.number(port)?;
        self.addresses
            .get(number)
            .copied()
            .context("a port without address")
    }

    /// Cuts a port, or mends it: nothing goes through. The machine's carrier is set with QMP (`set_link`).
    ///
    /// # Errors
    /// If there is no such port.
    pub fn cut(&self, port: &str, cut: bool) -> anyhow::Result<()> {
        let number = self.number(port)?;
        let mut state = self.shared.state();
        state.cut[number] = cut;
        let up = !cut && state.cables[number].is_some();
        state.fabric.set_up(number, up);
        Ok(())
    }

    /// Changes a port's configuration while machines run.
    ///
    /// # Errors
    /// If there is no such port.
    pub fn change(&self, port: &str, change: impl FnOnce(&mut Port)) -> anyhow::Result<()> {
        let found = self.shared.state().fabric.change(port, change);
        ensure!(found, "switch `{}` has no port `{port}`", self.shared.name);
        Ok(())
    }

    fn number(&self, name: &str) -> anyhow::Result<usize> {
        let state = self.shared.state();
        let number = state
            .fabric
            .ports()
            .iter()
            .position(|port| port.name == name);
        number.with_context(|| format!("switch `{}` has no port `{name}`", self.shared.name))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for cable in self
            .shared
            .state()
            .cables
            .iter_mut()
            .filter_map(Option::take)
        {
            // It may be gone already.
            let _closed = cable.shutdown(Shutdown::Both);
        }
        for address in &self.addresses {
            // Wakes the thread that waits for a machine.
            let _woken = TcpStream::connect_timeout(address, PATIENCE);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// One machine after another on a port: each start of QEMU is a new connection.
    fn serve(&self, port: usize, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.stopped() {
                return;
            }
            if self.plug_in(port, &stream).is_ok() {
                self.read(port, stream);
            }
            let mut state = self.state();
            state.cables[port] = None;
            state.fabric.set_up(port, false);
        }
    }

    fn plug_in(&self, port: usize, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let cable = stream.try_clone()?;
        cable.set_write_timeout(Some(PATIENCE))?;
        let mut state = self.state();
        state.cables[port] = Some(cable);
        let up = !state.cut[port];
        state.fabric.set_up(port, up);
        Ok(())
    }

    fn read(&self, port: usize, mut stream: TcpStream) {
        let mut length = [0; 4];
        while !self.stopped() && stream.read_exact(&mut length).is_ok() {
            let length = u32::from_be_bytes(length) as usize;
            if length > LONGEST {
                return;
            }
            let mut wire = vec![0; length];
            if stream.read_exact(&mut wire).is_err() {
                return;
            }
            let mut state = self.state();
            let out = state.fabric.forward(port, wire, Instant::now());
            state.send(out);
        }
    }

    fn announce(&self) {
        let mut last: Option<Instant> = None;
        while !self.stopped() {
            if last.is_none_or(|at| at.elapsed() >= ANNOUNCE) {
                let mut state = self.state();
                let out = state.fabric.announce(&self.name);
                state.send(out);
                last = Some(Instant::now());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl State {
    fn send(&mut self, out: Out) {
        for (port, wire) in out {
            let Some(cable) = self.cables.get_mut(port) else {
                continue;
            };
            let Some(stream) = cable else { continue };
            let Ok(length) = u32::try_from(wire.len()) else {
                continue;
            };
            let mut message = length.to_be_bytes().to_vec();
            message.extend(wire);
            if stream.write_all(&message).is_err() {
                // Half a frame may be out: nothing sensible can follow on this cable.
                let _closed = stream.shutdown(Shutdown::Both);
                *cable = None;
                self.fabric.set_up(port, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plug(switch: &Switch, port: &str) -> TcpStream {
        let stream = TcpStream::connect(switch.address(port).unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        // Its first LLDP frame says that the port is up.
        assert_eq!(take(&stream)[12..14], [0x88, 0xcc]);
        stream
    }

    fn take(mut stream: &TcpStream) -> Vec<u8> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut wire = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut wire).unwrap();
        wire
    }

    fn put(mut stream: &TcpStream, wire: &[u8]) {
        let mut message = u32::try_from(wire.len()).unwrap().to_be_bytes().to_vec();
        message.extend(wire);
        stream.write_all(&message).unwrap();
    }

    #[test]
    fn two_machines_talk_and_one_may_start_again() {
        let ports = ["a", "b", "c"].map(|name| Port::named(name).untagged(1));
        let switch = Switch::start("sw1", ports.to_vec()).unwrap();
        let (one, two) = (plug(&switch, "a"), plug(&switch, "b"));
        let mut hello = vec![0xff; 6];
        hello.extend([0x52, 0x54, 0, 0, 0, 1, 8, 0]);
        hello.resize(80, 9);
        put(&one, &hello);
        let next = |stream: &TcpStream| loop {
            let wire = take(stream);
            if wire[12..14] == [8, 0] {
                return wire;
            }
        };
        assert_eq!(next(&two), hello);
        drop(two);
        let two = plug(&switch, "b");
        put(&one, &hello);
        assert_eq!(next(&two), hello);
        let three = plug(&switch, "c");
        switch.cut("b", true).unwrap();
        put(&one, &hello);
        // It came through to the third: the switch has seen it.
        assert_eq!(next(&three), hello);
        switch.cut("b", false).unwrap();
        hello[20] = 10;
        put(&one, &hello);
        assert_eq!(next(&two), hello, "what was sent while it was cut is lost");
        assert!(switch.address("z").is_err());
    }
}
