//! The table of rules. Ids and severities are fixed: waivers name them.

use super::{Rule, galera, identity, links, machines, mail, pools, software, storage, vips};

macro_rules! rules {
    ($($id:literal $title:literal because $reason:literal cure $cure:literal by $check:path;)*) => {
        &[$(Rule { id: $id, title: $title, reason: $reason, cure: $cure, check: $check }),*]
    };
}

/// All rules, by number.
pub const RULES: &[Rule] = rules! {
    "E01" "three or five Galera nodes at one place"
        because "The reference architecture has 3 or 5 at a single place. An even number can split into halves, none of which has a majority, and then nobody writes."
        cure "add or remove a node of the role `galera`, so that there are 3 or 5"
        by galera::members;
    "E02" "several places: two or four Galera nodes, and an arbitrator at another place"
        because "With its arbitrator at a place that holds data, losing that place loses the majority, and the other place stops too. A preferred place does without an arbitrator."
        cure "have 2 or 4 nodes, and `garbd` on a machine at a third place; or mark one place `preferred`"
        by galera::arbitrator;
    "E03" "an odd number of votes, no place with more than half"
        because "Quorum arithmetic: `pc.weight` of all nodes and one vote of the arbitrator. With an even number a cut can leave two equal halves; a place with more than half decides alone, which must be meant (`preferred`)."
        cure "change `weight` of a node, or mark the place that shall go on alone `preferred`"
        by galera::votes;
    "E04" "exactly one node may make the Galera cluster"
        because "Two bootstraps are two clusters with different data and the same name, and no message says so."
        cure "set `galera.bootstrap` to the name of one node of the role `galera`"
        by galera::bootstrap;
    "E05" "the arbitrator is not on a database node"
        because "When that machine dies two votes are gone at once, and with three of five the cluster stops."
        cure "put `garbd` on a control server, a load balancer, or a machine elsewhere"
        by galera::arbitrator_apart;
    "E06" "all Galera nodes run the same image"
        because "A state transfer between major versions of MariaDB fails, at the worst time: when a node comes back."
        cure "give all of them the same `image`, or leave the key out"
        by galera::same_version;
    "E07" "transaction ids: one domain for the cluster, another on each node, one `server_id`"
        because "The copy for disasters changes its source by GTID alone. That only works while `wsrep_gtid_domain_id` and `server_id` are the same on all nodes and `gtid_domain_id` is not; a copy has a `server_id` of its own."
        cure "leave out `database_id` and `gtid_domain`: they are chosen rightly when compiled"
        by galera::transaction_ids;
    "E08" "the copy for disasters is no member of the cluster, and at least half as strong"
        because "The reference architecture: a replica on a separate server with at least half of the hardware. A member is no copy: it deletes what the others delete, and counts for quorum."
        cure "name a node of the role `database` with half the memory and cores of a Galera node"
        by galera::replica;
    "W09" "every commit is flushed, where all databases hang on one power feed"
        because "With another value than 1 up to a second of commits is lost when all nodes lose power together."
        cure "set `flush_log = 1`, or say with `feed` that the nodes hang on different feeds"
        by galera::flush;
    "W10" "database SSDs have power-loss protection"
        because "An SSD without capacitors acknowledges what still is in its memory. The reference's Samsung 850 Pro is one of them."
        cure "take SSDs with power-loss protection and say `hardware.power_loss_protection = true`"
        by galera::protected;
    "E11" "buffer pool, connections and the system fit into memory"
        because "A Galera node that runs out of memory is killed and comes back by a full state transfer, which takes a second node out of service."
        cure "lower `database.buffer_pool` or `max_connections`, or leave `buffer_pool` out: it is then computed from the memory"
        by galera::memory;
    "E12" "one writer at a time, the same order on both load balancers"
        because "Two writers make certification conflicts: transactions that were fine fail at commit. Two load balancers with different orders are two writers."
        cure "leave out `max_writers` and orders of single nodes; `galera.writers` is the order of all"
        by galera::one_writer;
    "E13" "moving addresses are distinct, in their network, and nobody's own"
        because "An address that two machines answer for is reached by chance (ARP)."
        cure "choose a free address in the network of the moving address"
        by vips::addresses;
    "E14" "VRRP ids are from 1 to 255 and unique in a network"
        because "Two pairs with one id take each other for a member and steal the address (RFC 9568). Peers are compiled from the candidates, so they always are symmetric."
        cure "leave out `virtual_router_id`, or choose another number"
        by vips::router_ids;
    "E15" "every moving address has two candidates on different chassis or hypervisors"
        because "Two virtual machines on one host die together: availability on paper."
        cure "add a candidate, or move one to another chassis or hypervisor; each needs an address in the network"
        by vips::candidates;
    "E16" "load balancer and production servers can reach each other as the delivery wants"
        because "Direct routing needs one layer-2 network. NAT needs answers to come back through the load balancer: the production servers' gateway is the moving address `gateway`. Otherwise packets vanish without a message. Never both."
        cure "direct: give production servers an address in the network of the mail address; nat: add the moving address `gateway`, and make it the gateway of its network"
        by vips::delivery;
    "E17" "all mail ports move to another server as one"
        because "Production servers share one mail store that only one may use at a time. Ports that move one by one have SMTP on one server and IMAP on the other."
        cure "set `services = \"together\"`"
        by vips::together;
    "E18" "at least two production servers, ids of at most two characters, one master"
        because "The mail program's manual: the id begins the names of message files and must be unique; exactly one server owns the configuration."
        cure "leave out `mail_id` and `master` to have them chosen, or make them unique"
        by machines::production;
    "E19" "temporary files are local, everything else of the mail program is shared"
        because "The mail program's manual: configuration, mail, spam filter, groupware and logs are shared, temporary files must not be: the servers would delete each other's."
        cure "put `temp` outside the mount of the storage and the others inside, or leave the paths out"
        by mail::folders;
    "W20" "web sessions are kept where every production server finds them"
        because "The vendor's article on availability asks for a shared key-value store; without it all web users are logged out by a takeover."
        cure "set `sessions = \"valkey\"`; it runs on the load balancers, at the virtual address `database`"
        by mail::sessions;
    "E21" "storage has a VLAN of its own, with 10 Gbit/s from 10000 users on"
        because "The reference architecture strongly recommends a dedicated network of at least 10 Gbit/s for NFS; its sizing table demands it from 10000 users on."
        cure "give the network `storage` a `vlan` of its own and `speed = 10000`"
        by links::storage_network;
    "E22" "MTU fits: the same on one VLAN, links and switches carry it"
        because "A packet larger than a hop takes is dropped without a word: small transfers work, large ones hang. Switches need 216 bytes more, as in 9000 on 9216."
        cure "make the `mtu` of networks, links and switches agree, or leave it out at links and switches"
        by links::mtu;
    "E23" "bonds end on different switches, have 2 to 8 ports, and both ends speak LACP"
        because "A bond on one switch dies with it. The EX4550 takes 8 links in a bond, and a bond over two switches only if they are one virtual chassis."
        cure "spread the ports of the bond over the members of one virtual chassis"
        by links::bonds;
    "E24" "one `fsid` on all storages, NFS 4.1 or newer"
        because "Without an explicit `fsid` file handles follow the data set's GUID, which differs on the other storage: after a takeover every open file is stale. Sessions of NFS 4.1 survive it."
        cure "set `storage.fsid` once and nowhere else; use `vers=4.2`"
        by storage::handles;
    "E25" "the mail store is mounted `hard`, with locks"
        because "With `soft` a slow storage is an I/O error in the middle of a message, and the message is damaged. Without locks two writers are."
        cure "leave out `mount_options`, or have `hard` in it and neither `soft` nor `nolock`"
        by storage::hard;
    "E26" "replication has one direction, from the source to read-only sinks"
        because "Snapshots that go both ways overwrite each other. A sink that can be written refuses the next snapshot or loses what was written."
        cure "name one `storage` node as `source` and others as `sinks`; leave `received` read-only"
        by storage::direction;
    "E27" "the intent log is a mirror of protected SSDs, and no cache disk is part of it"
        because "The log holds writes that were acknowledged and are nowhere else. One SSD, or one without power-loss protection, loses them."
        cure "two SSDs with power-loss protection for `log`, others for `cache`; or no log at all"
        by pools::logs;
    "E28" "mirrors span two host bus adapters, and 18 disks have a hot spare"
        because "Both halves behind one adapter fail together. Without a spare a rebuild waits for somebody to drive there."
        cure "use both adapters; lay data disks out with `vdev = \"mail\"` or as `mirror spares 2`"
        by pools::halves;
    "W29" "disks of a pool are of one size"
        because "A mirror or group is as large as its smallest disk; what others have more is lost."
        cure "take disks whose sizes differ by at most 5 %"
        by pools::equal;
    "E30" "system disks are never data disks, and a disk belongs to one group"
        because "A disk that two groups pick is wiped by the second."
        cure "make the conditions of the groups exclude each other; serial numbers and WWNs stand in one place"
        by pools::system_disks;
    "E31" "mailboxes fit: users x quota x 1.2 into 80 % of the pool"
        because "A copy-on-write file system gets slow when it is fuller than that, and cannot even delete well when it is full."
        cure "lower `quota`, or say with `hardware.hdd` and `hdd_sizes` which disks there are"
        by pools::capacity;
    "E32" "machines are there, and as strong as the sizing table says"
        because "The sizing table of the reference architecture, by number of users. More than 25000 users need the large layout (a warning)."
        cure "`rackwright size --users N` shows what is needed and why; correct `hardware`, `users` or `setup`"
        by machines::sizes;
    "E33" "two control servers in the large layout, two time servers, a depot in reach"
        because "The reference architecture has two control servers in the large layout. One time server that is wrong is believed; and certificates of a machine with a wrong clock are not."
        cure "have 2 nodes of the role `control` with an address in `mgmt`, and `time.servers` with 2 entries or more"
        by machines::control;
    "E34" "names, serial numbers, MAC and IP addresses are there once; board management is in `mgmt` and not the factory's"
        because "Two machines with one address or name work by turns. A board management with a factory account, or outside its network, is a way into the machine below its operating system."
        cure "correct the copy; keep board management in the network `mgmt` with an account of its own"
        by identity::unique;
    "W35" "what is kept inside is not opened to the internet"
        because "The reference's port table has them open to anyone, but open SOCKS, DNS and SNMP are relays and amplifiers for attacks, and a database is what attacks are for."
        cure "remove it from `ports.expose`; the tunnel and the inner networks reach it anyway"
        by mail::exposed;
    "E36" "no port has two owners"
        because "A service whose port an outgoing connection happens to use cannot start. Linux takes 32768 to 60999 for those; 32000 and 32001 are just below."
        cure "move the range under `ports`, or leave it out"
        by mail::ports;
    "W37" "FTP has ports for its passive mode"
        because "Almost every client uses passive mode, whose data ports the reference's table does not name: log-in works, listing a folder hangs."
        cure "set `ports.ftp_passive = \"30000-30255\"`, or `ports.ftp = false`"
        by mail::ftp;
    "E38" "no secret in a file that is served in clear"
        because "A network boot serves node files to whoever asks. Passwords and tokens are made from the seed, are good once and for a time, and travel sealed."
        cure "remove the value; the compiler makes secrets of its own"
        by software::no_secrets;
    "E39" "automatic takeover only with a fence and a witness"
        because "Two machines that do not see each other both think the other is dead. Without a sure power-off and a third opinion both write: split brain."
        cure "set `fence = \"ipmi\"` and a `witness` that holds no copy itself; or `\"manual\"`"
        by software::fenced;
    "E40" "Galera timeouts are the same everywhere, and long enough between places"
        because "Nodes with different timeouts evict each other; so do nodes between places where a second without answer is normal. Less than 5 s between places is wrong."
        cure "leave the timeouts out, or set them under `galera` only: suspect 5 s and inactive 15 s between places"
        by galera::timeouts;
    "W41" "virtual Galera nodes and load balancers are on different hypervisors"
        because "All on one host die with it: a majority of the databases, or both load balancers."
        cure "say with `host` where each one runs, and let it be different ones"
        by galera::apart;
    "W42" "the promised loss is not smaller than the replication interval"
        because "What arrived since the last snapshot is lost when the storage dies: at least one interval."
        cure "shorten `replication_interval`, or promise what is true"
        by storage::promise;
    "E43" "software that is not in Debian comes as a payload with its digest"
        because "ProxySQL, MaxScale, zrepl and the mail program are not in Debian, and nothing is ever fetched silently."
        cure "add `[[payloads]]` with `name`, `file` and `sha256`"
        by software::payloads;
    "E44" "a payload was made for the system it runs on"
        because "The mail program's installer ends with an error on a distribution that it does not know."
        cure "take the file for `debian13`, or add `container_root` with a root file system of its platform"
        by software::platform;
    "E45" "every network of a machine is on its cables and their switch ports"
        because "A VLAN that is missing on one port isolates one machine in one network: everything else works, and the search takes a night."
        cure "add the network to the link or the switch port; each cable has a port of its own"
        by links::switch_ports;
};
