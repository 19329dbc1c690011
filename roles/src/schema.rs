//! The keys of node, role and common files. A test compares them with the types that serde fills.

use crate::shape::{Field, Shape, optional, required};

const TEXTS: Shape = Shape::List(&Shape::Text);
const COUNT: Shape = Shape::Integer(0, 100_000);

/// Keys of a node file.
pub(crate) const NODE: &[Field] = &[
    required("format", COUNT),
    required("node", Shape::Text),
    required("role", Shape::Text),
    optional("domain", Shape::Text),
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
            // 1280: the least that IPv6 allows (RFC 8200 section 5). 9216: the most a switch port of the reference takes.
            optional("mtu", Shape::Integer(1280, 9216)),
        ])),
    ),
    optional("dns", TEXTS),
    optional("ntp", TEXTS),
    optional("settings", Shape::Anything),
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
        ])),
    ),
    optional("ports", Shape::List(&Shape::Table(PORT))),
    optional("templates", Shape::List(&Shape::Table(TEMPLATE))),
    optional("health", Shape::List(&HEALTH)),
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

const SERVICES: &[Field] = &[optional("start", TEXTS), optional("masked", TEXTS)];

const PORT: &[Field] = &[
    required("service", Shape::Text),
    required("protocol", Shape::Text),
    optional("port", Shape::Text),
    required("from", TEXTS),
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

const DISK_NEED: &[Field] = &[
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
