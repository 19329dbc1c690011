//! The LAN's parameters (IPMI 2.0, 23.1, 23.2, table 23-4).

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::command::{Answer, Command};
use super::keep::keep;
use super::{BmcError, channel};
use crate::ipmi::IpmiTransport;

const GET: Command = Command {
    function: 0x0c,
    command: 0x02,
    what: "read a LAN setting",
};
const SET: Command = Command {
    function: 0x0c,
    command: 0x01,
    what: "change a LAN setting",
};

/// Parameters of table 23-4.
mod parameter {
    pub const SET_IN_PROGRESS: u8 = 0;
    pub const ADDRESS: u8 = 3;
    pub const SOURCE: u8 = 4;
    pub const MAC: u8 = 5;
    pub const MASK: u8 = 6;
    pub const ARP: u8 = 10;
    pub const GATEWAY: u8 = 12;
    pub const VLAN: u8 = 20;
}

/// Where the address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Set here.
    Static,
    /// From a DHCP server.
    Dhcp,
    /// From the system's firmware or software, or not said.
    Other,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Static => "static",
            Self::Dhcp => "dhcp",
            Self::Other => "other",
        })
    }
}

/// Settings of a LAN channel. A parameter that the BMC does not have is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// `0c:c4:7a:00:00:01`.
    pub mac: Option<String>,
    /// Where the address comes from.
    pub source: Source,
    /// IPv4 address.
    pub address: Ipv4Addr,
    /// IPv4 net mask.
    pub mask: Ipv4Addr,
    /// IPv4 gateway; `0.0.0.0` is none.
    pub gateway: Ipv4Addr,
    /// Its packets carry this VLAN id.
    pub vlan: Option<u16>,
    /// It answers ARP requests itself; without, others find it only by a fixed entry.
    pub answers_arp: Option<bool>,
    /// It announces its address.
    pub announces: Option<bool>,
}

/// Reads all of them.
///
/// # Errors
/// The BMC cannot be reached, or has no address.
pub fn read(transport: &mut dyn IpmiTransport, channel: u8) -> Result<Settings, BmcError> {
    let mac = optional(get(transport, channel, parameter::MAC))?
        .map(|answer| answer.array::<6>(1))
        .transpose()?
        .map(|bytes| bytes.map(|byte| format!("{byte:02x}")).join(":"));
    let arp = optional(get(transport, channel, parameter::ARP))?
        .map(|answer| answer.byte(1))
        .transpose()?;
    Ok(Settings {
        mac,
        source: source(transport, channel)?,
        address: address(transport, channel, parameter::ADDRESS)?,
        mask: address(transport, channel, parameter::MASK)?,
        gateway: address(transport, channel, parameter::GATEWAY)?,
        vlan: vlan(transport, channel)?,
        answers_arp: arp.map(|byte| byte & 0x02 != 0),
        announces: arp.map(|byte| byte & 0x01 != 0),
    })
}

/// What is not there is no error.
fn optional(answer: Result<Answer, BmcError>) -> Result<Option<Answer>, BmcError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_unsupported() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first byte of an answer is the parameter's revision.
fn get(transport: &mut dyn IpmiTransport, channel: u8, number: u8) -> Result<Answer, BmcError> {
    GET.send(transport, &[channel, number, 0, 0])
}

fn set(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    number: u8,
    value: &[u8],
) -> Result<(), BmcError> {
    let mut data = vec![channel, number];
    data.extend_from_slice(value);
    SET.send(transport, &data)?;
    Ok(())
}

fn source(transport: &mut dyn IpmiTransport, channel: u8) -> Result<Source, BmcError> {
    Ok(
        match get(transport, channel, parameter::SOURCE)?.byte(1)? & 0x0f {
            1 => Source::Static,
            2 => Source::Dhcp,
            _ => Source::Other,
        },
    )
}

fn address(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    number: u8,
) -> Result<Ipv4Addr, BmcError> {
    Ok(Ipv4Addr::from(
        get(transport, channel, number)?.array::<4>(1)?,
    ))
}

fn vlan(transport: &mut dyn IpmiTransport, channel: u8) -> Result<Option<u16>, BmcError> {
    let Some(answer) = optional(get(transport, channel, parameter::VLAN))? else {
        return Ok(None);
    };
    let word = answer.word(1)?;
    Ok((word & 0x8000 != 0).then_some(word & 0x0fff))
}

/// One setting that is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// A fixed address instead of DHCP.
    StaticSource,
    /// Address.
    Address(Ipv4Addr),
    /// Net mask.
    Mask(Ipv4Addr),
    /// Gateway.
    Gateway(Ipv4Addr),
    /// VLAN id, or none.
    Vlan(Option<u16>),
    /// Answer ARP requests; announcing is not needed with that and stays off.
    Arp,
}

/// Words for an absent VLAN.
struct Tag(Option<u16>);

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(formatter, "{id}"),
            None => formatter.write_str("none"),
        }
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Changes settings in the order given, each read back. `in_band`: this session does not come in by the LAN, so that the
/// channel may be closed for a moment if a setting does not stick otherwise.
///
/// # Errors
/// The BMC refuses, or a setting did not stick.
pub fn change(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    settings: &[Setting],
    in_band: bool,
) -> Result<(), BmcError> {
    // The lock of table 23-4 is optional, and so is its commit. Someone else's is taken over: a session that was cut
    // leaves it behind.
    let locked = lock(transport, channel, 1)?;
    let mut result = Ok(());
    for setting in settings {
        result = change_one(transport, channel, *setting);
        if in_band && matches!(result, Err(BmcError::NotKept { .. })) {
            // Supermicro's firmware at times keeps a new address only while nobody may come in by it.
            result = channel::close_for_now(transport, channel)
                .and_then(|()| change_one(transport, channel, *setting));
            let opened = channel::open(transport, channel);
            result = result.and(opened);
        }
        if result.is_err() {
            break;
        }
    }
    if locked {
        // Where changes can be rolled back, they are lost unless they are committed (2) before the lock is left (23-4).
        if result.is_ok() {
            result = lock(transport, channel, 2).map(|_| ());
        }
        let unlocked = lock(transport, channel, 0).map(|_| ());
        result = result.and(unlocked);
    }
    result
}

/// Sets or leaves "in progress"; false if the BMC has no such thing.
fn lock(transport: &mut dyn IpmiTransport, channel: u8, state: u8) -> Result<bool, BmcError> {
    match set(transport, channel, parameter::SET_IN_PROGRESS, &[state]) {
        Ok(()) => Ok(true),
        // 0x81: it was locked already.
        Err(error) if error.code() == Some(0x81) => Ok(true),
        Err(error) if error.is_unsupported() || error.code() == Some(0x82) => Ok(false),
        Err(error) => Err(error),
    }
}

fn change_one(
    transport: &mut dyn IpmiTransport,
    channel: u8,
    setting: Setting,
) -> Result<(), BmcError> {
    let ip = |transport: &mut dyn IpmiTransport, what, number: u8, wanted: Ipv4Addr| {
        keep(
            transport,
            what,
            &wanted,
            |transport| set(transport, channel, number, &wanted.octets()),
            |transport| address(transport, channel, number),
        )
    };
    match setting {
        Setting::StaticSource => keep(
            transport,
            "the source of its address",
            &Source::Static,
            |transport| set(transport, channel, parameter::SOURCE, &[1]),
            |transport| source(transport, channel),
        ),
        Setting::Address(wanted) => ip(transport, "the address", parameter::ADDRESS, wanted),
        Setting::Mask(wanted) => ip(transport, "the net mask", parameter::MASK, wanted),
        Setting::Gateway(wanted) => ip(transport, "the gateway", parameter::GATEWAY, wanted),
        Setting::Vlan(wanted) => {
            let word = wanted.map_or(0, |id| 0x8000 | (id & 0x0fff));
            keep(
                transport,
                "the VLAN",
                &Tag(wanted),
                |transport| set(transport, channel, parameter::VLAN, &word.to_le_bytes()),
                |transport| vlan(transport, channel).map(Tag),
            )
        }
        Setting::Arp => keep(
            transport,
            "to answer ARP requests",
            &true,
            |transport| set(transport, channel, parameter::ARP, &[0x02]),
            |transport| Ok(get(transport, channel, parameter::ARP)?.byte(1)? & 0x02 != 0),
        ),
    }
}
