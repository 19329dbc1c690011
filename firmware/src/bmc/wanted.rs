//! What a BMC should be, from the node file's `[bmc]`. The password travels apart: it is in no node file.

use std::net::{IpAddr, Ipv4Addr};

use roles::address::Cidr;
use roles::wiring::BmcSettings;
use serde::Serialize;

use super::LanMode;

/// What a BMC should be. What is absent is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Address and net mask; with it the VLAN is as [`Wanted::vlan`] says, also if that is none.
    pub address: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Gateway.
    pub gateway: Option<Ipv4Addr>,
    /// VLAN id.
    pub vlan: Option<u16>,
    /// Port of the board.
    pub mode: Option<LanMode>,
    /// Administrator's account.
    pub user: Option<String>,
}

/// A value of `[bmc]` that means nothing to a BMC. The check of the node file finds these with their place; this is for
/// callers that did not check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`bmc.{key}`: `{value}` is no {expected}")]
pub struct WantedError {
    /// Key.
    pub key: &'static str,
    /// Value.
    pub value: String,
    /// What it should be.
    pub expected: &'static str,
}

impl Wanted {
    /// From the node file.
    ///
    /// # Errors
    /// A value that is no address, mode or name.
    pub fn parse(settings: &BmcSettings) -> Result<Self, WantedError> {
        let wrong = |key, value: &str, expected| WantedError {
            key,
            value: value.to_owned(),
            expected,
        };
        let address = settings
            .address
            .as_deref()
            .map(|text| {
                ipv4(text).ok_or_else(|| wrong("address", text, "IPv4 address with its prefix"))
            })
            .transpose()?;
        let gateway = settings
            .gateway
            .as_deref()
            .map(|text| {
                text.parse()
                    .map_err(|_| wrong("gateway", text, "IPv4 address"))
            })
            .transpose()?;
        let mode = settings
            .mode
            .as_deref()
            .map(|word| {
                LanMode::parse(word)
                    .ok_or_else(|| wrong("mode", word, "one of dedicated, shared, failover"))
            })
            .transpose()?;
        if let Some(vlan) = settings.vlan
            && !(1..=4094).contains(&vlan)
        {
            return Err(wrong("vlan", &vlan.to_string(), "VLAN id from 1 to 4094"));
        }
        if let Some(user) = &settings.user
            && (user.is_empty() || user.len() > super::users::LONGEST_NAME || !user.is_ascii())
        {
            return Err(wrong("user", user, "name of at most 16 ASCII characters"));
        }
        Ok(Self {
            address,
            gateway,
            vlan: settings.vlan,
            mode,
            user: settings.user.clone(),
        })
    }
}

fn ipv4(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let cidr = Cidr::parse(text)?;
    let IpAddr::V4(address) = cidr.address else {
        return None;
    };
    // A shift by all 32 bits is none.
    let bits = u32::MAX
        .checked_shl(32_u32.checked_sub(cidr.prefix.into())?)
        .unwrap_or(0);
    Some((address, Ipv4Addr::from_bits(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_file_says() {
        let parse = |text: &str| {
            let settings: BmcSettings = toml::from_str(text).unwrap();
            Wanted::parse(&settings).map_err(|error| error.to_string())
        };
        assert_eq!(parse(""), Ok(Wanted::default()));
        assert_eq!(
            parse(
                "address = \"10.77.10.111/23\"\ngateway = \"10.77.10.1\"\nvlan = 10\nmode = \"dedicated\"\nuser = \"rackwright\""
            ),
            Ok(Wanted {
                address: Some((
                    Ipv4Addr::new(10, 77, 10, 111),
                    Ipv4Addr::new(255, 255, 254, 0)
                )),
                gateway: Some(Ipv4Addr::new(10, 77, 10, 1)),
                vlan: Some(10),
                mode: Some(LanMode::Dedicated),
                user: Some("rackwright".into()),
            })
        );
        for (text, message) in [
            (
                "address = \"10.77.10.111\"",
                "`bmc.address`: `10.77.10.111` is no IPv4 address with its prefix",
            ),
            (
                "address = \"2001:db8::1/64\"",
                "`bmc.address`: `2001:db8::1/64` is no IPv4 address with its prefix",
            ),
            (
                "gateway = \"router\"",
                "`bmc.gateway`: `router` is no IPv4 address",
            ),
            (
                "mode = \"both\"",
                "`bmc.mode`: `both` is no one of dedicated, shared, failover",
            ),
            (
                "vlan = 4095",
                "`bmc.vlan`: `4095` is no VLAN id from 1 to 4094",
            ),
            (
                "user = \"a name too long for it\"",
                "`bmc.user`: `a name too long for it` is no name of at most 16 ASCII characters",
            ),
        ] {
            assert_eq!(parse(text), Err(message.into()), "{text}");
        }
        assert_eq!(
            ipv4("10.0.0.1/0"),
            Some((Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::UNSPECIFIED))
        );
    }
}
