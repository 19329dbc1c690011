//! The keys of node, role and common files. A test compares them with the types that serde fills.

use crate::shape::{Field, Shape, optional, required};

pub(crate) const TEXTS: Shape = Shape::List(&Shape::Text);
const COUNT: Shape = Shape::Integer(0, 100_000);

/// What the consoles allow, in site and node files.
pub(crate) const CONSOLE: &[Field] = &[
    optional("shell", Shape::Word(&["open", "closed"])).says(
        "`closed`: no root shell in the live system, no log-in on the status console; `open` if absent",
        "\"closed\"",
    ),
    optional("wait", Shape::Integer(0, 600)).says(
        "Seconds before an unattended install during which Esc leads to the wizard; 10 if absent, 0: none",
        "0",
    ),
];

/// Keys of a node file.
pub(crate) const NODE: &[Field] = &[
    required("format", COUNT),
    required("node", Shape::Text),
    required("role", Shape::Text),
    optional("domain", Shape::Text),
    optional(
        "machine",
        Shape::Table(&[
            optional("serial", Shape::Text),
            optional("bmc_mac", Shape::Text),
        ]),
    ),
    optional(
        "permit",
        Shape::Table(&[
            required("id", Shape::Text),
            optional("board_serial", Shape::Text),
            optional("plan", Shape::Text),
            optional("task", Shape::Word(&["install", "repair"])),
        ]),
    ),
    optional(
        "access",
        Shape::Table(&[
            optional("user", Shape::Text),
            optional("ssh_keys", TEXTS),
            optional("password_hash", Shape::Text),
        ]),
    ),
    optional("console", Shape::Table(CONSOLE)),
    optional("disks", Shape::List(&Shape::Table(DISK_NEED))),
    optional(
        "storage",
        Shape::Table(&[
            optional("initial_sync", Shape::Word(&["full", "skip"])),
            optional("data", Shape::Word(&["new", "keep"])),
            optional("destroy", TEXTS),
            optional("multipath", Shape::Word(&["auto", "single", "dm"])),
        ]),
    ),
    optional(
        "waivers",
        Shape::List(&Shape::Table(&[
            required("finding", Shape::Text),
            required("reason", Shape::Text),
        ])),
    ),
    optional(
        "networks",
        Shape::List(&Shape::Table(&[
            required("name", Shape::Text),
            optional("mac", Shape::Text),
            optional("addresses", TEXTS),
            optional("dhcp", Shape::Flag),
            optional("gateway", Shape::Text),
            optional("mtu", MTU),
            optional("on", Shape::Text),
            optional("vlan", VLAN),
            optional(
                "routes",
                Shape::List(&Shape::Table(&[
                    required("to", Shape::Text),
                    required("via", Shape::Text),
                ])),
            ),
        ])),
    ),
    optional("ports", Shape::List(&Shape::Table(PHYSICAL_PORT))),
    optional("bonds", Shape::List(&Shape::Table(BOND))),
    optional(
        "hosts",
        Shape::List(&Shape::Table(&[
            required("name", Shape::Text),
            optional("role", Shape::Text),
            optional("addresses", Shape::TextMap),
        ])),
    ),
    optional(
        "authority",
        Shape::Table(&[required("pin", Shape::Text), optional("servers", TEXTS)]),
    ),
    optional(
        "bmc",
        Shape::Table(&[
            optional("address", Shape::Text),
            optional("gateway", Shape::Text),
            optional("vlan", VLAN),
            optional("mode", Shape::Word(&["dedicated", "shared", "failover"])),
            optional("user", Shape::Text),
        ]),
    ),
    optional("dns", TEXTS),
    optional("ntp", TEXTS),
    optional("settings", Shape::Anything),
];

// 1280: the least that IPv6 allows (RFC 8200 section 5). 9216: the most a switch port of the reference takes.
const MTU: Shape = Shape::Integer(1280, 9216);

// 0 and 4095 are reserved (IEEE 802.1Q table 9-2).
const VLAN: Shape = Shape::Integer(1, 4094);

const PHYSICAL_PORT: &[Field] = &[
    required("name", Shape::Text),
    optional("mac", Shape::Text),
    optional("path", Shape::Text),
    optional("dev_port", Shape::Integer(0, 255)),
    optional("driver", Shape::Text),
    optional("speed", Shape::Integer(10, 400_000)),
    optional("type", Shape::Word(&["ethernet"])),
    optional("mtu", MTU),
    optional("switch", Shape::Text),
    optional("switch_port", Shape::Text),
];

const BOND: &[Field] = &[
    required("name", Shape::Text),
    required("ports", TEXTS),
    required("mode", Shape::Word(&["802.3ad", "active-backup"])),
    optional("lacp_rate", Shape::Word(&["fast", "slow"])),
    optional(
        "hash",
        Shape::Word(&["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4"]),
    ),
    optional("min_links", Shape::Integer(1, 8)),
];

/// Keys of a role file.
pub(crate) const ROLE: &[Field] = &[
    required("format", COUNT),
    required("name", Shape::Text),
    required("summary", Shape::Text),
    optional("packages", TEXTS),
    optional("compiled_modules", TEXTS),
    optional("modules", TEXTS),
    optional("services", Shape::Table(SERVICES)),
    optional("disks", Shape::List(&Shape::Table(DISK_NEED))),
    optional(
        "networks",
        Shape::List(&Shape::Table(&[
            required("name", Shape::Text),
            optional("ports", Shape::Integer(0, 8)),
            optional("speed", Shape::Integer(0, 400_000)),
            optional("optional", Shape::Flag),
            optional(
                "link",
                Shape::Table(&[
                    optional("receive_ring", Shape::Integer(64, 32_768)),
                    optional("transmit_ring", Shape::Integer(64, 32_768)),
                    optional("adaptive_interrupts", Shape::Flag),
                    optional("receive_wait", Shape::Integer(0, 10_000)),
                    optional("transmit_wait", Shape::Integer(0, 10_000)),
                    optional("flow_control", Shape::Flag),
                    optional("lossless_priority", Shape::Integer(0, 7)),
                ]),
            ),
        ])),
    ),
    optional("ports", Shape::List(&Shape::Table(PORT))),
    optional("templates", Shape::List(&Shape::Table(TEMPLATE))),
    optional("health", Shape::List(&HEALTH)),
    optional("join", Shape::List(&JOIN)),
    optional("settings", Shape::Anything),
];

/// Keys of `common.toml`.
pub(crate) const COMMON: &[Field] = &[
    required("format", COUNT),
    required("packages", TEXTS),
    required("image_modules", TEXTS),
    required("initrd_modules", TEXTS),
    required("initrd_load", TEXTS),
    optional("services", Shape::Table(SERVICES)),
    optional("ports", Shape::List(&Shape::Table(PORT))),
    optional("templates", Shape::List(&Shape::Table(TEMPLATE))),
    optional("health", Shape::List(&HEALTH)),
    optional("settings", Shape::Anything),
];

const SERVICES: &[Field] = &[
    optional("start", TEXTS),
    optional("masked", TEXTS),
    optional("certificates", TEXTS),
];

const PORT: &[Field] = &[
    required("service", Shape::Text),
    required("protocol", Shape::Text),
    optional("port", Shape::Text),
    required("from", TEXTS),
    optional("peers", TEXTS),
];

const TEMPLATE: &[Field] = &[
    required("source", Shape::Text),
    required("target", Shape::Text),
    optional("mode", Shape::Text),
];

const HEALTH: Shape = Shape::Tagged(
    "kind",
    &[
        ("service", &[required("unit", Shape::Text)]),
        ("mount", &[required("path", Shape::Text)]),
        ("array", &[required("path", Shape::Text)]),
        ("pool", &[required("name", Shape::Text)]),
        (
            "listen",
            &[
                required("protocol", Shape::Word(&["tcp", "udp"])),
                required("port", Shape::Integer(1, 65_535)),
            ],
        ),
        ("module", &[required("name", Shape::Text)]),
    ],
);

const ID: Field = required("id", Shape::Text);
// A day: whatever takes longer is not a matter of waiting.
const DEADLINE: Field = optional("deadline", Shape::Integer(1, 86_400));
const OPTIONAL: Field = optional("optional", Shape::Flag);
const HOLD: Field = optional("hold", Shape::Integer(0, 3_600));
const PLAIN: &[Field] = &[ID, DEADLINE, OPTIONAL, HOLD];

const JOIN: Shape = Shape::Tagged(
    "kind",
    &[
        (
            "secrets",
            &[ID, DEADLINE, OPTIONAL, HOLD, required("names", TEXTS)],
        ),
        (
            "network",
            &[ID, DEADLINE, OPTIONAL, HOLD, required("name", Shape::Text)],
        ),
        ("clock", PLAIN),
        (
            "mount",
            &[ID, DEADLINE, OPTIONAL, HOLD, required("path", Shape::Text)],
        ),
        (
            "check",
            &[ID, DEADLINE, OPTIONAL, HOLD, required("command", TEXTS)],
        ),
        (
            "certificate",
            &[ID, DEADLINE, OPTIONAL, HOLD, required("group", Shape::Text)],
        ),
        ("galera", PLAIN),
        ("database", PLAIN),
        ("accounts", PLAIN),
        ("seen", PLAIN),
        ("balancer", PLAIN),
        ("arbitrator", PLAIN),
    ],
);

pub(crate) const DISK_NEED: &[Field] = &[
    required(
        "purpose",
        Shape::Word(&["os", "data", "log", "cache", "special", "spare"]),
    ),
    required("count", Shape::Integer(1, 1000)),
    optional("optional", Shape::Flag),
    required("select", Shape::List(&Shape::Table(SELECTOR))),
    optional("layout", LAYOUT),
];

const SELECTOR: &[Field] = &[
    optional("bay", Shape::Text),
    optional("model", Shape::Text),
    optional("vendor", Shape::Text),
    optional("serial", TEXTS),
    optional("wwn", TEXTS),
    optional("size", Shape::Text),
    optional("rotational", Shape::Flag),
    // `usb` is missing on purpose: an install never goes to a USB disk.
    optional(
        "transport",
        Shape::List(&Shape::Word(&["sata", "sas", "nvme", "virtio"])),
    ),
    optional("sector", Shape::Integer(512, 65_536)),
    optional("path", Shape::Text),
    optional("hba", Shape::Text),
];

const LAYOUT: Shape = Shape::Tagged(
    "kind",
    &[
        (
            "md",
            &[
                required("level", Shape::Integer(0, 10)),
                required("file_system", Shape::Word(&["xfs", "ext4"])),
                required("mount", Shape::Text),
            ],
        ),
        (
            "zfs",
            &[
                required("pool", Shape::Text),
                required("vdev", Shape::Text),
                // Absent where `vdev` decides; the check of pools says when it is missing.
                optional("width", Shape::Integer(1, 1000)),
                optional(
                    "datasets",
                    Shape::List(&Shape::Table(&[
                        required("name", Shape::Text),
                        optional("properties", Shape::TextMap),
                    ])),
                ),
            ],
        ),
    ],
);
