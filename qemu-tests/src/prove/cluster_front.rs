//! The front end on whole machines: two balancers before two mail servers, by direct routing and by address translation. A client
//! in the public network says whom it reached, and the server says whom it saw.
//!
//! The servers are installed mail servers of which only the two greetings are spoken, by systemd and a shell: what is proven here
//! is the way of packets, and mail itself needs four machines more (`cluster::mail-storage`, `prove --fast mail`).

use std::time::{Duration, Instant};

use anyhow::ensure;
use toml::{Table, Value};

use super::cluster_mail::{address, install, put, switch};
use super::machines::Test;
use super::server::{Server, beside, time};
use crate::images::Image;

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("cluster::front-direct", "lb", |test, image| {
            front(test, image, Delivery::Direct)
        }),
        test("cluster::front-nat", "lb", |test, image| {
            front(test, image, Delivery::Nat)
        }),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Direct,
    Nat,
}

impl Delivery {
    const fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nat => "nat",
        }
    }

    /// Where the servers are reached.
    const fn network(self) -> &'static str {
        match self {
            Self::Direct => "public",
            Self::Nat => "cluster",
        }
    }
}

/// The address that clients know.
const VIP: &str = "10.77.20.9";
/// The servers' way out with address translation.
const GATEWAY: &str = "10.77.30.9";
/// Mail servers, and the client.
const SERVERS: [u8; 2] = [3, 4];
const CLIENT: u8 = 5;

/// A virtual address of balancer `number` of two.
fn vip(name: &str, network: &str, address_of: &str, id: i64, number: u8) -> Value {
    Value::Table(Table::from_iter([
        ("name".to_owned(), Value::from(name)),
        ("network".to_owned(), network.into()),
        ("address".to_owned(), format!("{address_of}/24").into()),
        ("router_id".to_owned(), id.into()),
        ("priority".to_owned(), (160 - 10 * i64::from(number)).into()),
        ("source".to_owned(), address(network, number).into()),
        (
            "peers".to_owned(),
            vec![Value::from(address(network, 3 - number))].into(),
        ),
    ]))
}

fn balancer(
    test: &Test,
    image: &Image,
    plugs: &crate::switch::Switch,
    delivery: Delivery,
    number: u8,
) -> anyhow::Result<Server> {
    install(test.role, image, number, plugs, |file| {
        let mut vips = vec![vip("mail", "public", VIP, 51, number)];
        if delivery == Delivery::Nat {
            vips.push(vip("gateway", "cluster", GATEWAY, 52, number));
        }
        put(file, "vips", vips);
        put(file, "delivery", delivery.word());
        let server = |number: u8| {
            Value::Table(Table::from_iter([
                (
                    "name".to_owned(),
                    Value::from(format!("production{number}")),
                ),
                (
                    "address".to_owned(),
                    address(delivery.network(), number).into(),
                ),
                ("id".to_owned(), format!("a{number}").into()),
                ("master".to_owned(), (number == SERVERS[0]).into()),
            ]))
        };
        put(file, "mail_servers", SERVERS.map(server).to_vec());
    })
}

/// A mail server that greets, tells whom it sees and holds the line until the client leaves.
fn mail_server(
    image: &Image,
    plugs: &crate::switch::Switch,
    delivery: Delivery,
    number: u8,
) -> anyhow::Result<Server> {
    let server = install("production", image, number, plugs, |file| {
        // Nobody has it: the real mail waits, and its ports are free.
        put(file, "mail_source", "10.77.40.9:/");
        put(file, "mail_mount", "/var/srv/mail");
        put(
            file,
            "mount_options",
            "vers=4.2,proto=tcp,hard,timeo=600,noatime",
        );
        match delivery {
            Delivery::Direct => put(file, "loopback_addresses", vec![Value::from(VIP)]),
            Delivery::Nat => {
                for network in &mut file.networks {
                    network.gateway = (network.name == "cluster").then(|| GATEWAY.to_owned());
                }
                // A leg in the clients' own network would be a shorter way back.
                for network in file
                    .networks
                    .iter_mut()
                    .filter(|network| network.name == "public")
                {
                    network.addresses = vec![format!("10.77.99.{number}/24")];
                }
            }
        }
    })?;
    // Units, as only the service manager tells its service who has connected (systemd.exec(5), `REMOTE_ADDR`).
    let speak = |greeting: &str, answer: &str| {
        format!(
            "printf '{greeting} production{number} sees %s\\r\\n' $REMOTE_ADDR; while read -r line; do printf '{answer}\\r\\n'; \
             case $line in QUIT*|*LOGOUT*) exit;; esac; done"
        )
    };
    for (port, script) in [(25, speak("220", "250 ok")), (143, speak("* OK", "a OK"))] {
        let units = "/run/systemd/system/greeting";
        server.run(&format!(
            "sudo tee /run/greeting{port} > /dev/null <<'END'\n{script}\nEND\n\
             printf '[Socket]\\nListenStream=0.0.0.0:{port}\\nAccept=yes\\nMaxConnections=1024\\nTriggerLimitIntervalSec=0\\n' \
             | sudo tee {units}{port}.socket > /dev/null\n\
             printf '[Service]\\nExecStart=/bin/sh /run/greeting{port}\\nStandardInput=socket\\nStandardError=journal\\n' \
             | sudo tee {units}{port}@.service > /dev/null\n\
             sudo systemctl daemon-reload && sudo systemctl start greeting{port}.socket"
        ))?;
    }
    server.wait("greets", "rackwright-installer probe mail 127.0.0.1")?;
    Ok(server)
}

/// What the client is told at the virtual address. curl leaves when its input ends, and an emulated server needs seconds to
/// greet: the input waits for it.
fn greeting(port: u16) -> String {
    format!(
        "(sleep 15; printf 'QUIT\\r\\n'; sleep 5) | curl -s --max-time 40 telnet://{VIP}:{port}"
    )
}

/// (c) Who is reached, what the server sees, a lost server, a lost balancer with a connection that goes on.
fn front(test: &Test, image: &Image, delivery: Delivery) -> anyhow::Result<()> {
    let plugs = switch(&[
        ("lb", 1),
        ("lb", 2),
        ("production", SERVERS[0]),
        ("production", SERVERS[1]),
        ("production", CLIENT),
    ])?;
    let other = beside(image, test.role, "production")?;
    let mut servers = Vec::new();
    for number in SERVERS {
        servers.push(mail_server(&other, &plugs, delivery, number)?);
    }
    let client = install("production", &other, CLIENT, &plugs, |_| {})?;
    let mut both = [
        balancer(test, image, &plugs, delivery, 1)?,
        balancer(test, image, &plugs, delivery, 2)?,
    ];
    let holds = format!("ip -4 address show dev public0 | grep -q ' {VIP}/'");
    let first = one_holds(&both, &holds)?;
    for server in &both {
        server.wait("knows the service", "sudo ipvsadm -Ln | grep -q 'FWM  16'")?;
    }

    let sees = format!("sees {}", address("public", CLIENT));
    let master = format!("production{}", SERVERS[0]);
    client.wait(
        "reaches the master by SMTP, which sees the client's own address",
        &format!("{} | grep -q '220 {master} {sees}'", greeting(25)),
    )?;
    client.run(&format!("{} | grep -q 'OK {master} {sees}'", greeting(143)))?;

    // A connection that is older than the balancer's death.
    client.run(&format!(
        "sudo systemd-run --quiet --unit talk sh -c \"(for line in 1 2 3 4; do printf 'NOOP\\\\r\\\\n'; sleep 1; done; \
         sleep 90; printf 'QUIT\\\\r\\\\n'; sleep 5) | curl -s --max-time 200 telnet://{VIP}:25 > /run/talk\""
    ))?;
    client.wait("talks", "test $(sudo grep -c 250 /run/talk) -ge 4")?;
    both[first].kill();
    let lost = Instant::now();
    let rest = &both[1 - first];
    rest.wait("has taken over", &holds)?;
    client.wait(
        "is served again",
        &format!("{} | grep -q '220 {master} {sees}'", greeting(25)),
    )?;
    time("client", "served again by the other balancer", lost);
    client.wait(
        "went on with the old connection",
        "test $(sudo grep -c 250 /run/talk) -ge 5",
    )?;

    // The one that comes back does not take the address.
    both[first].start()?;
    both[first].wait("knows the service", "sudo ipvsadm -Ln | grep -q 'FWM  16'")?;
    ensure!(
        one_holds(&both, &holds)? == 1 - first,
        "the balancer that came back took the address"
    );

    // A keepalived that dies without a word leaves no address behind.
    // Not masked: a masked unit has no commands for its end.
    both[1 - first].run(
        "sudo mkdir -p /run/systemd/system/keepalived.service.d; \
         printf '[Service]\\nRestart=no\\n' | sudo tee /run/systemd/system/keepalived.service.d/zz-test.conf > /dev/null; \
         sudo systemctl daemon-reload; sudo systemctl kill --signal=KILL --kill-whom=all keepalived.service",
    )?;
    both[first].wait("has taken over from a killed keepalived", &holds)?;
    both[1 - first].wait("has no stale address", &format!("! {{ {holds}; }}"))?;

    servers[0].kill();
    let lost = Instant::now();
    client.wait(
        "is served by the other server",
        &format!(
            "{} | grep -q '220 production{} {sees}'",
            greeting(25),
            SERVERS[1]
        ),
    )?;
    time("client", "served by the other mail server", lost);
    Ok(())
}

/// Which of two has the address; waits until exactly one has.
fn one_holds(both: &[Server; 2], holds: &str) -> anyhow::Result<usize> {
    let end = Instant::now() + Duration::from_secs(600);
    loop {
        match (both[0].holds(holds)?, both[1].holds(holds)?) {
            (true, false) => return Ok(0),
            (false, true) => return Ok(1),
            (one, _) => ensure!(
                Instant::now() < end,
                "{} hold {VIP}",
                if one { "both" } else { "none of two" }
            ),
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}
