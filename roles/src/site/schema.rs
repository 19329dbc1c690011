//! The keys of the site file, with a line and an example each: errors, JSON schema and docs/site-file.md come from here.

use crate::{
    schema::{CONSOLE, DISK_NEED, TEXTS},
    shape::{Field, Shape, optional, required},
};

const COUNT: Shape = Shape::Integer(0, 1_000_000_000);

/// Keys of a site file.
pub(crate) const SITE: &[Field] = &[
    required("format", Shape::Integer(0, 100_000)).says("Format of the file; this version reads 1", "1"),
    required("name", Shape::Text).says("Name of the cluster: lower-case letters, digits, hyphens", "\"mail\""),
    required("domain", Shape::Text).says("DNS domain of the machines", "\"mail.example.net\""),
    required("setup", Shape::Word(&["standard", "failover", "ha", "cluster"]))
        .says("Setup of the reference architecture; `cluster` is `ha` with control servers and a backup storage", "\"ha\""),
    required("users", COUNT).says("Mail users; decides what the machines must have", "25000"),
    optional("quota", Shape::Text).says("Size of one mailbox; without it capacity is not judged", "\"2 GB\""),
    optional("options", Shape::Table(OPTIONS)).says("Choices between programs and ways", ""),
    optional("access", Shape::Table(ACCESS)).says("Who may log in, on every machine; root is always locked", ""),
    optional("console", Shape::Table(CONSOLE)).says("What the consoles of every machine allow", ""),
    optional("time", Shape::Table(&[optional("servers", TEXTS)
        .says("At least two time servers, names or addresses", "[\"0.pool.ntp.org\", \"1.pool.ntp.org\"]")]))
        .says("Time servers outside the cluster", ""),
    optional("dns", Shape::Table(&[optional("servers", TEXTS).says("Addresses of name servers", "[\"192.0.2.53\"]")]))
        .says("Name servers outside the cluster", ""),
    optional("ports", Shape::Table(PORTS)).says("Ports of the firewall that are a choice", ""),
    optional("sites", Shape::List(&Shape::Table(PLACE))).says("Places with machines of their own; absent: one place", ""),
    optional("networks", Shape::List(&Shape::Table(NETWORK))).says("Networks: `mgmt`, `public`, `cluster`, `storage`", ""),
    optional("vips", Shape::List(&Shape::Table(VIP))).says("Addresses that move between machines", ""),
    optional("nodes", Shape::List(&Shape::Table(NODE))).says("Machines", ""),
    optional("database", Shape::Table(DATABASE)).says("MariaDB, in every setup", ""),
    optional("galera", Shape::Table(GALERA)).says("What only a Galera cluster has", ""),
    optional("failover", Shape::Table(FAILOVER)).says("Who takes over, and how it is made safe", ""),
    optional("storage", Shape::Table(STORAGE)).says("Shared storage", ""),
    optional("payloads", Shape::List(&Shape::Table(PAYLOAD)))
        .says("Third-party software that you supply; never fetched", ""),
    optional("switches", Shape::List(&Shape::Table(SWITCH))).says("Switches; each member of a virtual chassis is one", ""),
    optional("router", Shape::Table(ROUTER)).says("Router and management module", ""),
    optional("waivers", Shape::List(&Shape::Table(&[
        required("rule", Shape::Text).says("Id of the rule, as `rackwright check` shows it", "\"W10\""),
        required("reason", Shape::Text).says("Why; goes into reports", "\"SSDs are replaced in March\""),
    ])))
    .says("Rules that are broken on purpose", ""),
];

const OPTIONS: &[Field] = &[
    optional("proxy", Shape::Word(&["haproxy", "proxysql", "maxscale"])).says(
        "In front of the databases; the last two need a payload",
        "\"haproxy\"",
    ),
    optional("replication", Shape::Word(&["syncoid", "zrepl", "none"])).says(
        "Between the storages; `zrepl` needs a payload",
        "\"syncoid\"",
    ),
    optional("replication_interval", Shape::Text).says(
        "Time between two snapshots that are sent; `1 min` if absent",
        "\"1 min\"",
    ),
    optional("promised_loss", Shape::Text).says(
        "Accepted mail that may be lost when a storage dies, as time; not below the interval",
        "\"10 min\"",
    ),
    optional("mail", Shape::Word(&["builtin", "icewarp"])).says(
        "Mail program: Postfix and Dovecot, or a payload",
        "\"builtin\"",
    ),
    optional("storage", Shape::Word(&["zfs", "nfs", "fc"])).says(
        "Where mail lies: our storage servers, another NFS server, a LUN",
        "\"zfs\"",
    ),
    optional("delivery", Shape::Word(&["direct", "nat"])).says(
        "How LVS hands packets on; both keep the client's address",
        "\"direct\"",
    ),
    optional("services", Shape::Word(&["together", "apart"])).says(
        "Whether all mail ports move to another server as one",
        "\"together\"",
    ),
    optional("sessions", Shape::Word(&["valkey", "none"]))
        .says("Where web sessions are kept", "\"valkey\""),
    optional("transport", Shape::Word(&["tcp", "rdma"]))
        .says("NFS over TCP, or over RDMA on a lossless VLAN", "\"tcp\""),
];

const ACCESS: &[Field] = &[
    optional("user", Shape::Text)
        .says("Administrator's account; `admin` if absent", "\"operator\""),
    optional("ssh_keys", TEXTS).says(
        "OpenSSH public keys",
        "[\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0B4sHlzpsyTg1r0XvdU7KzdPPbYp1zvZ2uFhYwQ3Ab me\"]",
    ),
    optional("password_hash", Shape::Text).says(
        "crypt(5) hash for the console, from `mkpasswd`; absent: no log-in there",
        "\"$y$j9T$...\"",
    ),
];

const PORTS: &[Field] = &[
    optional(
        "expose",
        Shape::List(&Shape::Word(&[
            "mysql", "snmp", "ldap", "dns", "socks", "daytime", "minger",
        ])),
    )
    .says(
        "Services opened to the internet although they are kept inside by default",
        "[\"ldap\"]",
    ),
    optional("ftp", Shape::Flag).says(
        "FTP is offered, as in the reference's port table; true if absent",
        "false",
    ),
    optional("ftp_passive", Shape::Text).says("Ports of passive FTP", "\"30000-30255\""),
    optional("sip_streams", Shape::Text).says("UDP ports of SIP streams", "\"10000-10255\""),
    optional("ephemeral", Shape::Text).says(
        "Ports that outgoing connections of production servers come from",
        "\"32768-60999\"",
    ),
];

const PLACE: &[Field] = &[
    required("name", Shape::Text).says("Name of the place", "\"brno\""),
    optional("preferred", Shape::Flag).says(
        "Goes on alone when the line between the places is cut",
        "true",
    ),
];

const NETWORK: &[Field] = &[
    required("name", Shape::Text).says("Name; its interface is called after it", "\"mgmt\""),
    optional("vlan", Shape::Integer(1, 4094)).says("VLAN id; absent: untagged", "10"),
    required("subnet", Shape::Text).says("IPv4 network", "\"10.77.10.0/24\""),
    optional("subnet6", Shape::Text).says("IPv6 network", "\"2001:db8:10::/64\""),
    optional("gateway", Shape::Text).says(
        "Default gateway in `subnet`; one network of a machine may have one",
        "\"10.77.10.1\"",
    ),
    optional("gateway6", Shape::Text).says("Default gateway in `subnet6`", "\"2001:db8:10::1\""),
    // The same bounds as in node files.
    optional("mtu", Shape::Integer(1280, 9216)).says("Bytes; 1500 if absent", "9000"),
    optional("speed", Shape::Integer(10, 400_000)).says("Megabits per second", "10000"),
    optional("site", Shape::Text).says("Its place; absent: every place has it", "\"brno\""),
];

const VIP: &[Field] = &[
    required("name", Shape::Word(&["mail", "database", "storage", "control", "gateway"]))
        .says("What answers there; `gateway`: the way back through the load balancers with `delivery = \"nat\"`", "\"mail\""),
    required("network", Shape::Text).says("Network it lies in", "\"public\""),
    required("address", Shape::Text).says("Address without prefix length", "\"192.0.2.10\""),
    // Wider than VRRP allows: rule E14 says more than a bound does.
    optional("virtual_router_id", Shape::Integer(0, 100_000)).says("VRRP id; absent: chosen, always the same", "51"),
    optional("candidates", TEXTS).says("Machines that may hold it, first one first; absent: all of the role", "[\"lb1\", \"lb2\"]"),
    optional("site", Shape::Text).says("Its place", "\"brno\""),
];

const NODE: &[Field] = &[
    required("name", Shape::Text).says("Host name", "\"lb1\""),
    required("role", Shape::Text).says(
        "Role: control, production, standalone, database, galera, lb, storage, backup",
        "\"lb\"",
    ),
    optional("site", Shape::Text).says("Its place", "\"brno\""),
    optional("chassis", Shape::Text).says("Where it is mounted: rack and unit", "\"rack1:u20\""),
    optional("host", Shape::Text).says("Virtual machine: its hypervisor", "\"vmhost1\""),
    optional("feed", Shape::Text).says("Power feed", "\"a\""),
    optional("serial", Shape::Text).says(
        "Serial number of the board; the permit is only good there",
        "\"ZM15AS000001\"",
    ),
    optional("priority", Shape::Integer(1, 250)).says(
        "1: first candidate of its role; absent: by place in the file",
        "1",
    ),
    optional("image", Shape::Text).says(
        "Version of the image it runs; absent: the one that is built",
        "\"0.1.0\"",
    ),
    optional("addresses", Shape::TextMap).says(
        "Network and address in it, without prefix length",
        "{ mgmt = \"10.77.10.11\", public = \"192.0.2.11\" }",
    ),
    optional("addresses6", Shape::TextMap)
        .says("The same for IPv6", "{ public = \"2001:db8:20::11\" }"),
    optional("bmc", Shape::Table(BMC)).says(
        "Board management; its password is made from the seed, never written here",
        "",
    ),
    optional("hardware", Shape::Table(HARDWARE))
        .says("What the machine has, where it is not the reference", ""),
    optional("links", Shape::List(&Shape::Table(LINK)))
        .says("Bonds, ports and cables; absent: the role's own ports", ""),
    optional("weight", Shape::Integer(0, 255))
        .says("Galera: votes (`pc.weight`); 1 if absent", "2"),
    optional("segment", Shape::Integer(0, 255))
        .says("Galera: `gmcast.segment`; absent: by place", "1"),
    optional("database_id", COUNT).says("Database: `server_id`", "104"),
    optional("gtid_domain", COUNT).says("Database: `gtid_domain_id`, another on each node", "11"),
    optional("mail_id", Shape::Text).says(
        "Production: at most two characters that begin the names of message files",
        "\"01\"",
    ),
    optional("master", Shape::Flag)
        .says("Production: works while all is well; exactly one", "true"),
    optional("disks", Shape::List(&Shape::Table(DISK_NEED)))
        .says("Disk groups instead of the role's, as in node files", ""),
    optional("settings", Shape::Anything).says(
        "Values for the role's templates, as in node files; never secrets",
        "{ nfs_threads = 32 }",
    ),
    optional(
        "waivers",
        Shape::List(&Shape::Table(&[
            required("finding", Shape::Text).says(
                "Id of a hardware finding, as `inventory` shows it",
                "\"bios.version\"",
            ),
            required("reason", Shape::Text)
                .says("Why it is accepted", "\"the new BIOS is tried here first\""),
        ])),
    )
    .says(
        "Differences from the reference hardware that are accepted",
        "",
    ),
];

const BMC: &[Field] = &[
    required("address", Shape::Text).says("Address in the network `mgmt`", "\"10.77.10.111\""),
    optional("mac", Shape::Text).says("MAC address, for its reservation", "\"0c:c4:7a:00:00:01\""),
    optional("mode", Shape::Word(&["dedicated", "shared", "failover"]))
        .says("Which port it uses", "\"dedicated\""),
    optional("user", Shape::Text).says("Account; `rackwright` if absent", "\"rackwright\""),
];

const HARDWARE: &[Field] = &[
    optional("memory", Shape::Integer(1, 65_536)).says("GiB", "64"),
    optional("cores", Shape::Integer(1, 4096))
        .says("Processor cores, without hyper-threading", "8"),
    optional("hdd", Shape::Integer(0, 1000)).says("Disks that hold mail", "16"),
    optional("hdd_sizes", TEXTS).says("Every size that occurs among them", "[\"8 TB\"]"),
    optional("controllers", Shape::Integer(1, 16)).says("Host bus adapters they hang on", "2"),
    optional("power_loss_protection", Shape::Flag).says(
        "SSDs keep what they acknowledged when the power goes",
        "true",
    ),
    optional("virtual", Shape::Flag).says("A virtual machine", "true"),
];

const LINK: &[Field] = &[
    optional("bond", Shape::Text).says("Name of the bond; absent with one port", "\"bond0\""),
    optional("mode", Shape::Word(&["802.3ad", "active-backup"]))
        .says("Bond mode; `802.3ad` if absent", "\"802.3ad\""),
    required("networks", TEXTS).says(
        "Networks on it, told apart by their VLAN ids",
        "[\"cluster\", \"storage\"]",
    ),
    optional("mtu", Shape::Integer(1280, 9216))
        .says("Bytes; the largest of its networks if absent", "9000"),
    required("ports", Shape::List(&Shape::Table(LINK_PORT))).says("Ports", ""),
];

const LINK_PORT: &[Field] = &[
    optional("mac", Shape::Text).says("Permanent MAC address", "\"0c:c4:7a:12:34:56\""),
    optional("path", Shape::Text).says("PCI address", "\"0000:03:00.0\""),
    optional("dev_port", Shape::Integer(0, 15))
        .says("Which of the ports with the same PCI address", "1"),
    optional("driver", Shape::Text).says("Kernel driver", "\"mlx4_core\""),
    optional("switch", Shape::Text).says("Switch at the other end of the cable", "\"sw1\""),
    optional("port", Shape::Text).says("Port of the switch", "\"xe-0/0/0\""),
];

const DATABASE: &[Field] = &[
    optional("buffer_pool", Shape::Text)
        .says("InnoDB buffer pool; absent: by the memory", "\"40 GiB\""),
    optional("max_connections", Shape::Integer(10, 100_000))
        .says("Connections at most; 500 if absent", "500"),
    optional("flush_log", Shape::Integer(0, 2))
        .says("`innodb_flush_log_at_trx_commit`; 1 if absent", "1"),
    optional("max_writers", Shape::Integer(1, 100))
        .says("Databases that take writes at a time; 1 if absent", "1"),
    optional("replica", Shape::Text).says(
        "`database` node that follows the Galera cluster, for disasters",
        "\"db4\"",
    ),
];

const GALERA: &[Field] = &[
    optional("bootstrap", Shape::Text)
        .says("The one node that may make the cluster, once", "\"db1\""),
    optional("garbd", Shape::Text).says("Node that runs the arbitrator", "\"control1\""),
    optional("garbd_site", Shape::Text).says("Its place; absent: that of its node", "\"praha\""),
    optional("gtid_domain", COUNT).says("`wsrep_gtid_domain_id`; 77 if absent", "77"),
    optional("writers", TEXTS).says(
        "Order in which nodes become the writer; absent: by priority",
        "[\"db1\", \"db2\", \"db3\"]",
    ),
    optional("gcache", Shape::Text).says("`gcache.size`; 2 GiB if absent", "\"2 GiB\""),
    optional("suspect_timeout", Shape::Text).says(
        "`evs.suspect_timeout`; 2 s, with several places 5 s",
        "\"2 s\"",
    ),
    optional("inactive_timeout", Shape::Text).says(
        "`evs.inactive_timeout`; 6 s, with several places 15 s",
        "\"6 s\"",
    ),
    optional("keepalive", Shape::Text).says(
        "`evs.keepalive_period`; 500 ms, with several places 1 s",
        "\"500 ms\"",
    ),
];

const FAILOVER: &[Field] = &[
    optional("database", Shape::Word(&["manual", "automatic"]))
        .says("Who promotes a replicated database", "\"manual\""),
    optional("storage", Shape::Word(&["manual", "automatic"]))
        .says("Who promotes a replicated storage", "\"manual\""),
    optional("fence", Shape::Word(&["none", "ipmi"]))
        .says("How the other machine is made sure to be off", "\"ipmi\""),
    optional("witness", Shape::Text).says("Third machine that must agree", "\"control1\""),
];

const STORAGE: &[Field] = &[
    optional("source", Shape::Text).says("Storage node that holds the live data", "\"st1\""),
    optional("sinks", TEXTS).says("Nodes that receive its snapshots", "[\"st2\", \"backup1\"]"),
    optional("export", Shape::Text).says("Folder that is exported", "\"/var/srv/export\""),
    optional("fsid", Shape::Integer(1, 65_535))
        .says("The same number on every storage node; 1 if absent", "1"),
    optional("mount", Shape::Text).says("Where production mounts it", "\"/var/srv/mail\""),
    optional("mount_options", Shape::Text).says(
        "NFS mount options; absent: ours",
        "\"vers=4.2,hard,nconnect=4\"",
    ),
    optional("server", Shape::Text).says("External NFS server", "\"10.77.40.5\""),
    optional("lun", Shape::Text).says(
        "WWN of the external LUN",
        "\"0x600a098038303053453f463045727654\"",
    ),
    optional("capacity", Shape::Text).says("Usable size of external storage", "\"60 TB\""),
    optional("paths", Shape::Table(PATHS)).says(
        "Folders of the mail program; absent: below the mount, `temp` on local disks",
        "",
    ),
];

const PATHS: &[Field] = &[
    optional("mail", Shape::Text).says("Messages", "\"/var/srv/mail/mail\""),
    optional("config", Shape::Text).says("Configuration", "\"/var/srv/mail/config\""),
    optional("spam", Shape::Text).says("Spam filter", "\"/var/srv/mail/spam\""),
    optional("calendar", Shape::Text).says("Groupware", "\"/var/srv/mail/calendar\""),
    optional("logs", Shape::Text).says("Logs", "\"/var/srv/mail/logs\""),
    optional("temp", Shape::Text).says(
        "Temporary files: each server its own",
        "\"/var/spool/rackwright/temp\"",
    ),
];

const PAYLOAD: &[Field] = &[
    required("name", Shape::Text).says(
        "What it is: `icewarp`, `proxysql`, `maxscale`, `zrepl`, or a name of your own",
        "\"proxysql\"",
    ),
    required("file", Shape::Text).says(
        "File, beside the site file",
        "\"payloads/proxysql_2.7.1-debian13_amd64.deb\"",
    ),
    optional("sha256", Shape::Text).says(
        "Its digest, from `sha256sum`",
        "\"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"",
    ),
    optional("kind", Shape::Word(&["deb", "archive", "binary"])).says(
        "How it goes into an image; absent: by the file's name",
        "\"deb\"",
    ),
    optional("roles", TEXTS).says(
        "Roles whose images carry it; absent: those of a known name",
        "[\"lb\"]",
    ),
    optional("path", Shape::Text).says(
        "Where a binary lies; `/usr/local/bin/NAME` if absent",
        "\"/usr/local/bin/zrepl\"",
    ),
    optional("platform", Shape::Text).says(
        "System it was made for; absent: runs anywhere",
        "\"debian13\"",
    ),
    optional("container_root", Shape::Text).says(
        "Root file system of that system, in which it runs",
        "\"payloads/rhel9.tar\"",
    ),
    optional("container_sha256", Shape::Text).says(
        "Digest of `container_root`",
        "\"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"",
    ),
    optional("license", Shape::Text).says(
        "File with its licence, beside the site file, `{node}` in it is the machine's name; travels as a secret",
        "\"payloads/{node}.key\"",
    ),
];

const SWITCH: &[Field] = &[
    required("name", Shape::Text).says("Name, as links use it", "\"sw1\""),
    required("model", Shape::Word(&["ex4550", "other"]))
        .says("Model; nothing is written for `other`", "\"ex4550\""),
    optional("serial", Shape::Text).says("Serial number", "\"LX0212345678\""),
    optional("member", Shape::Integer(0, 9))
        .says("Number in the virtual chassis; absent: in none", "0"),
    optional("chassis", Shape::Text).says("Where it is mounted", "\"rack1:u40\""),
    optional("site", Shape::Text).says("Its place", "\"brno\""),
    optional("mtu", Shape::Integer(1500, 16_000)).says("Bytes; 9216 if absent", "9216"),
    optional("lacp", Shape::Flag).says("LACP is on where a link wants it; true if absent", "true"),
    optional(
        "ports",
        Shape::List(&Shape::Table(&[
            required("port", Shape::Text).says("Port", "\"xe-0/0/20\""),
            required("networks", TEXTS).says("Networks on it", "[\"public\"]"),
            optional("description", Shape::Text).says("What is at the other end", "\"uplink\""),
        ])),
    )
    .says(
        "Ports whose networks are said here; others take them from the links",
        "",
    ),
];

const ROUTER: &[Field] = &[
    required("model", Shape::Word(&["rb3011"])).says("Model", "\"rb3011\""),
    required("address", Shape::Text).says("Its address in the network `mgmt`", "\"10.77.10.1\""),
    optional("version", Shape::Integer(1, 99)).says("RouterOS version; 7 if absent", "7"),
    optional("wan", Shape::Text).says("Port to the outside; `ether1` if absent", "\"ether1\""),
    optional("chassis", Shape::Text).says("Where it is mounted", "\"rack1:u42\""),
    optional("dhcp", Shape::Text).says(
        "First and last address for machines without a reservation",
        "\"10.77.10.200-10.77.10.250\"",
    ),
    optional("wireguard", Shape::Text).says(
        "Network of the tunnel, with the router's address",
        "\"10.77.9.1/24\"",
    ),
    optional(
        "peers",
        Shape::List(&Shape::Table(&[
            required("name", Shape::Text).says("Who", "\"anna\""),
            required("public_key", Shape::Text).says(
                "WireGuard public key",
                "\"HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\"",
            ),
            required("address", Shape::Text).says("Address in the tunnel", "\"10.77.9.2/32\""),
        ])),
    )
    .says("Who may come in by the tunnel", ""),
];
