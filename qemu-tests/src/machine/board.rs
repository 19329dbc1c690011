//! SMBIOS identity of the reference boards, as real dumps show them.
//!
//! Strings of X10SRL-F and X10DRH-iT are from machine dumps; X10DRW-E's follow the X10DRW-i family.

/// Board identity given to the guest by SMBIOS types 0 to 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Product name of the system.
    pub product: &'static str,
    /// Version of the system.
    pub version: &'static str,
    /// Board name, the only reliable name.
    pub name: &'static str,
    /// Board revision.
    pub revision: &'static str,
    /// BIOS version.
    pub bios: &'static str,
    /// BIOS date.
    pub bios_date: &'static str,
    /// Stock keeping unit.
    pub sku: &'static str,
    /// Family.
    pub family: &'static str,
    /// Chassis vendor.
    pub chassis: &'static str,
    /// IPMI product id of its BMC.
    pub bmc_product: u16,
}

impl Board {
    /// Control server.
    pub const X10SRL_F: Self = Self {
        product: "Super Server",
        version: "0123456789",
        name: "X10SRL-F",
        revision: "1.02",
        bios: "3.4",
        bios_date: "06/05/2021",
        sku: "Default string",
        family: "Default string",
        chassis: "Supermicro",
        bmc_product: 0x0832,
    };

    /// Production and database servers.
    pub const X10DRW_E: Self = Self {
        product: "Super Server",
        version: "0123456789",
        name: "X10DRW-E",
        revision: "1.10",
        bios: "3.4",
        bios_date: "06/05/2021",
        sku: "Default string",
        family: "Default string",
        chassis: "Supermicro",
        bmc_product: 0x0864,
    };

    /// Storage servers.
    pub const X10DRH_IT: Self = Self {
        product: "X10DRH",
        version: "123456789",
        name: "X10DRH-iT",
        revision: "1.01",
        bios: "3.4a",
        bios_date: "08/11/2021",
        sku: "085915D9",
        family: "SMC X10",
        chassis: "Default string",
        bmc_product: 0x0859,
    };

    /// QEMU arguments; `serial` is the board serial number.
    pub(super) fn arguments(&self, serial: &str) -> Vec<String> {
        let fields = |kind: u32, fields: &[(&str, &str)]| {
            let mut text = format!("type={kind}");
            for (key, value) in fields {
                // QEMU's option syntax doubles a comma inside a value.
                text.push_str(&format!(",{key}={}", value.replace(',', ",,")));
            }
            ["-smbios".to_owned(), text]
        };
        [
            fields(
                0,
                &[
                    ("vendor", "American Megatrends Inc."),
                    ("version", self.bios),
                    ("date", self.bios_date),
                ],
            ),
            fields(
                1,
                &[
                    ("manufacturer", "Supermicro"),
                    ("product", self.product),
                    ("version", self.version),
                    ("serial", "0123456789"),
                    ("sku", self.sku),
                    ("family", self.family),
                ],
            ),
            fields(
                2,
                &[
                    ("manufacturer", "Supermicro"),
                    ("product", self.name),
                    ("version", self.revision),
                    ("serial", serial),
                ],
            ),
            fields(
                3,
                &[("manufacturer", self.chassis), ("serial", "0123456789")],
            ),
        ]
        .concat()
    }
}
