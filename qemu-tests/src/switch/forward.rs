//! What a switch does with a frame: learn, look up, send on. Pure: frames in, frames out; time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::frame::{Frame, Mac, is_group, is_link_local};
use super::protocols;

/// A port as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// `xe-0/0/0`.
    pub name: String,
    /// VLAN of frames without a tag; absent: they are dropped.
    pub untagged: Option<u16>,
    /// VLANs of frames with a tag.
    pub tagged: Vec<u16>,
    /// Most bytes after the Ethernet header.
    pub mtu: usize,
    /// Ports with the same number are one link (LACP).
    pub aggregate: Option<u16>,
}

impl Port {
    /// A port of an EX4550 as we configure it: jumbo frames, no VLAN yet.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            untagged: None,
            tagged: Vec::new(),
            mtu: 9216,
            aggregate: None,
        }
    }

    /// Frames without a tag belong to this VLAN.
    #[must_use]
    pub fn untagged(mut self, vlan: u16) -> Self {
        self.untagged = Some(vlan);
        self
    }

    /// Takes tagged frames of these VLANs.
    #[must_use]
    pub fn tagged(mut self, vlans: &[u16]) -> Self {
        self.tagged = vlans.to_vec();
        self
    }

    /// Part of this aggregate.
    #[must_use]
    pub fn aggregate(mut self, number: u16) -> Self {
        self.aggregate = Some(number);
        self
    }

    /// The VLAN of a frame that comes in, if this port has it.
    fn vlan_of(&self, frame: &Frame) -> Option<u16> {
        match frame.vlan {
            Some(vlan) => self.tagged.contains(&vlan).then_some(vlan),
            None => self.untagged,
        }
    }

    /// How a frame of this VLAN goes out; absent: not at all.
    fn form(&self, vlan: u16) -> Option<Option<u16>> {
        if self.untagged == Some(vlan) {
            Some(None)
        } else {
            self.tagged.contains(&vlan).then_some(Some(vlan))
        }
    }
}

/// A member of an aggregate that was not heard for this long carries nothing (LACP's short timeout).
const HEARD: Duration = Duration::from_secs(3);

/// A port, or ports that are one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    Port(usize),
    Aggregate(u16),
}

/// Configuration and what was learned.
#[derive(Debug)]
pub(super) struct Fabric {
    own: Mac,
    ports: Vec<Port>,
    /// Cable in and port not cut, by port.
    up: Vec<bool>,
    heard: Vec<Option<Instant>>,
    learned: BTreeMap<(u16, Mac), Link>,
}

/// Frames to send, each with the number of its port.
pub(super) type Out = Vec<(usize, Vec<u8>)>;

impl Fabric {
    pub fn new(own: Mac, ports: Vec<Port>) -> Self {
        let count = ports.len();
        Self {
            own,
            ports,
            up: vec![false; count],
            heard: vec![None; count],
            learned: BTreeMap::new(),
        }
    }

    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// A cable came or went, or the port was cut. What was learned there is forgotten.
    pub fn set_up(&mut self, port: usize, up: bool) {
        if let Some(state) = self.up.get_mut(port) {
            *state = up;
        }
        if let Some(heard) = self.heard.get_mut(port) {
            *heard = None;
        }
        self.learned.retain(|_, link| *link != Link::Port(port));
    }

    /// Changes a port's configuration while it is in use.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Port)) -> bool {
        let Some(port) = self.ports.iter_mut().find(|port| port.name == name) else {
            return false;
        };
        change(port);
        true
    }

    /// A frame came in.
    pub fn forward(&mut self, ingress: usize, wire: Vec<u8>, now: Instant) -> Out {
        let (Some(port), Some(true)) = (self.ports.get(ingress), self.up.get(ingress)) else {
            return Out::new();
        };
        let Some(frame) = Frame::read(wire) else {
            return Out::new();
        };
        if frame.payload() > port.mtu {
            return Out::new();
        }
        if protocols::is_lacp(&frame) {
            let Some(aggregate) = port.aggregate else {
                return Out::new();
            };
            self.heard[ingress] = Some(now);
            let number = u16::try_from(ingress + 1).unwrap_or(u16::MAX);
            return protocols::lacp_answer(&frame, self.own, aggregate, number)
                .map(|answer| (ingress, answer.wire(None)))
                .into_iter()
                .collect();
        }
        if is_link_local(frame.destination()) {
            return Out::new();
        }
        let Some(vlan) = port.vlan_of(&frame) else {
            return Out::new();
        };
        let from = self.link(ingress);
        if !is_group(frame.source()) {
            self.learned.insert((vlan, frame.source()), from);
        }
        let known = self.learned.get(&(vlan, frame.destination())).copied();
        let to: Vec<usize> = match known {
            Some(link) if !is_group(frame.destination()) => {
                self.member(link, now).into_iter().collect()
            }
            _ => self
                .links()
                .filter_map(|link| self.member(link, now))
                .collect(),
        };
        to.into_iter()
            .filter(|port| self.link(*port) != from)
            .filter_map(|number| {
                let port = &self.ports[number];
                let form = port.form(vlan)?;
                (frame.payload() <= port.mtu).then(|| (number, frame.wire(form)))
            })
            .collect()
    }

    /// What the switch says of itself on every port that is up.
    pub fn announce(&self, switch: &str) -> Out {
        let up = self
            .ports
            .iter()
            .enumerate()
            .filter(|(number, _)| self.up[*number]);
        up.map(|(number, port)| {
            let frame = protocols::lldp(switch, self.own, &port.name);
            (number, frame.wire(None))
        })
        .collect()
    }

    fn link(&self, port: usize) -> Link {
        match self.ports[port].aggregate {
            Some(number) => Link::Aggregate(number),
            None => Link::Port(port),
        }
    }

    fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let all: std::collections::BTreeSet<Link> =
            (0..self.ports.len()).map(|port| self.link(port)).collect();
        all.into_iter()
    }

    /// The port that carries what goes out on a link: its first member that is alive.
    fn member(&self, link: Link, now: Instant) -> Option<usize> {
        match link {
            Link::Port(port) => self.up[port].then_some(port),
            Link::Aggregate(_) => (0..self.ports.len()).find(|port| {
                let heard = self.heard[*port].is_some_and(|at| now.duration_since(at) <= HEARD);
                self.link(*port) == link && self.up[*port] && heard
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = [2, 0, 0, 0, 0, 1];

    fn frame(to: u8, from: u8, vlan: Option<u16>, payload: usize) -> Vec<u8> {
        let mac = |last: u8| {
            if last == 0xff {
                [0xff; 6]
            } else {
                [0x52, 0x54, 0, 0, 0, last]
            }
        };
        let mut bytes = mac(to).to_vec();
        bytes.extend(mac(from));
        bytes.extend([0x08, 0x00]);
        bytes.extend(vec![1; payload]);
        Frame { vlan: None, bytes }.wire(vlan)
    }

    fn lacp() -> Vec<u8> {
        let mut bytes = vec![
            0x01, 0x80, 0xc2, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 9, 0x88, 0x09, 1, 1, 1, 20,
        ];
        bytes.resize(124, 0);
        bytes
    }

    /// Three servers: two plain trunks, one with two legs.
    fn fabric() -> Fabric {
        let trunk = |name| Port::named(name).untagged(10).tagged(&[30, 40]);
        let ports = vec![
            trunk("a"),
            Port::named("b").untagged(10).tagged(&[30]),
            trunk("c1").aggregate(7),
            trunk("c2").aggregate(7),
        ];
        let mut fabric = Fabric::new(OWN, ports);
        (0..4).for_each(|port| fabric.set_up(port, true));
        fabric
    }

    const NOBODY: [usize; 0] = [];

    fn to(out: &Out) -> Vec<usize> {
        out.iter().map(|(port, _)| *port).collect()
    }

    #[test]
    fn frames_stay_in_their_vlan_and_go_where_they_were_learned() {
        let now = Instant::now();
        let mut fabric = fabric();
        assert_eq!(to(&fabric.forward(2, lacp(), now)), [2], "the answer");
        fabric.forward(3, lacp(), now);
        // Unknown: to everyone who has the VLAN, once per link, never back.
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, None, 100), now)),
            [1, 2]
        );
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, Some(40), 100), now)),
            [2]
        );
        assert_eq!(
            to(&fabric.forward(1, frame(0xff, 2, Some(40), 100), now)),
            NOBODY
        );
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, Some(99), 100), now)),
            NOBODY
        );
        // From one leg never to the other.
        assert_eq!(
            to(&fabric.forward(3, frame(0xff, 3, None, 100), now)),
            [0, 1]
        );
        // Learned.
        assert_eq!(to(&fabric.forward(1, frame(1, 2, None, 100), now)), [0]);
        assert_eq!(to(&fabric.forward(1, frame(3, 2, None, 100), now)), [2]);
    }

    #[test]
    fn a_cut_leg_is_replaced_by_the_other_and_a_silent_one_carries_nothing() {
        let now = Instant::now();
        let mut fabric = fabric();
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, None, 100), now)),
            [1],
            "not heard yet"
        );
        fabric.forward(2, lacp(), now);
        fabric.forward(3, lacp(), now);
        fabric.set_up(2, false);
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, None, 100), now)),
            [1, 3]
        );
        assert_eq!(
            to(&fabric.forward(2, frame(0xff, 3, None, 100), now)),
            NOBODY,
            "cut"
        );
        let later = now + HEARD + Duration::from_millis(1);
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, None, 100), later)),
            [1]
        );
    }

    #[test]
    fn long_frames_are_dropped_on_the_way_in_and_out() {
        let now = Instant::now();
        let mut fabric = fabric();
        assert!(fabric.change("b", |port| port.mtu = 1500));
        assert!(!fabric.change("z", |_| {}));
        fabric.forward(2, lacp(), now);
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, Some(30), 1500), now)),
            [1, 2]
        );
        assert_eq!(
            to(&fabric.forward(0, frame(0xff, 1, Some(30), 9000), now)),
            [2]
        );
        assert_eq!(
            to(&fabric.forward(1, frame(0xff, 2, Some(30), 1501), now)),
            NOBODY
        );
    }

    #[test]
    fn the_switch_says_where_each_cable_ends() {
        let mut fabric = fabric();
        fabric.set_up(1, false);
        assert_eq!(to(&fabric.announce("sw1")), [0, 2, 3]);
        let lldp = fabric.announce("sw1")[0].1.clone();
        assert_eq!(
            to(&fabric.forward(0, lldp, Instant::now())),
            NOBODY,
            "never sent on"
        );
    }
}
