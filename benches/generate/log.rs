//! The log: lines as CoreDNS writes them, of Deployments that ask for what they always ask for. A and AAAA are asked one
//! after the other; search paths end in NXDOMAIN before the name that is answered; a few names are asked for far more
//! often than most.

use std::collections::HashSet;
use std::io::{self, Write};

/// What the log is to be.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Log {
    /// Size of the log, before compression
    #[arg(long, default_value_t = 1 << 30)]
    pub(crate) bytes: u64,
    /// Pods, seven to a Deployment
    #[arg(long, default_value_t = 4_900)]
    pub(crate) pods: usize,
    /// Services, one to a Deployment
    #[arg(long, default_value_t = 300)]
    pub(crate) services: usize,
    /// (Deployment, Service or external name) pairs that occur; seven times as many (pod, name) pairs
    #[arg(long, default_value_t = 4_300)]
    pub(crate) connections: usize,
    /// Of 100 lookups, how many are for an external name that nobody asks for again
    #[arg(long, default_value_t = 0)]
    pub(crate) unique: u64,
    /// What stands around each line
    #[arg(long, value_enum, default_value_t)]
    pub(crate) wrap: Wrap,
    /// Another log of the same kind
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What stands around each line. With a time the log spans about a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wrap {
    /// Nothing
    #[default]
    Bare,
    /// A time, as `kubectl logs --timestamps` and `kico fetch` write it
    Timestamps,
    /// Time, stream and tag, as containerd and CRI-O write it
    Cri,
    /// A JSON object, as Docker's json-file driver writes it
    Docker,
}

impl Log {
    /// How many Deployments there are.
    pub(crate) fn deployments(&self) -> usize {
        self.pods.div_ceil(REPLICAS).max(self.services).max(1)
    }

    /// Writes it. How many lines and bytes that were.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<(u64, u64)> {
        let mut rolls = Rolls(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let asks = asks(&mut rolls, self);
        let clients: Vec<String> = (0..self.pods.max(1)).map(address).collect();
        let step = 86_400_000_000_000 / (self.bytes / LINE).max(1);
        let line = Vec::new();
        let mut log = Writer { out, line, bytes: 0, lines: 0, wrap: self.wrap, now: 0, step };
        for line in [".:53", "CoreDNS-1.11.1", "linux/amd64, go1.20.7, ae2bbc29"] {
            log.line(|text| text.extend_from_slice(line.as_bytes()))?;
        }
        let mut made_up = 0_u64;
        while log.bytes < self.bytes {
            let ask = &asks[rolls.skewed(asks.len())];
            let pod = (ask.deployment * REPLICAS + rolls.below(REPLICAS)) % clients.len();
            let client = &clients[pod];
            if (rolls.below(100) as u64) < self.unique {
                made_up += 1;
                let name =
                    format!("{:016x}.dga.example", made_up.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                log.query(&mut rolls, client, "A", &name, "NOERROR qr,rd,ra")?;
                continue;
            }
            let Some((answered, tried)) = ask.names.split_last() else { continue };
            for name in tried {
                log.query(&mut rolls, client, "A", name, "NXDOMAIN qr,aa,rd")?;
                log.query(&mut rolls, client, "AAAA", name, "NXDOMAIN qr,aa,rd")?;
            }
            let outcome = match rolls.below(200) {
                0 => "SERVFAIL qr,rd",
                _ if answered.ends_with(ZONE) => "NOERROR qr,aa,rd",
                _ => "NOERROR qr,rd,ra",
            };
            log.query(&mut rolls, client, "A", answered, outcome)?;
            log.query(&mut rolls, client, "AAAA", answered, outcome)?;
            if rolls.below(50) == 0 {
                log.query(
                    &mut rolls,
                    client,
                    "PTR",
                    "10.0.96.10.in-addr.arpa",
                    "NOERROR qr,aa,rd",
                )?;
            }
        }
        log.out.flush()?;
        Ok((log.lines, log.bytes))
    }
}

/// Pods to a Deployment.
pub(crate) const REPLICAS: usize = 7;
/// All of them.
pub(crate) const NAMESPACES: usize = 40;
const ZONE: &str = "svc.cluster.local";
/// A line without its wrapper: near enough to spread the times over about a day.
const LINE: u64 = 131;

/// xorshift64*: fast, and the same everywhere.
struct Rolls(u64);

impl Rolls {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// 0 to n - 1.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// 0 to n - 1, small ones far more often: the cube of an even draw.
    fn skewed(&mut self, n: usize) -> usize {
        let u = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((u * u * u * n as f64) as usize).min(n.saturating_sub(1))
    }
}

/// A Deployment's, and its Service's.
pub(crate) fn namespace(deployment: usize) -> String {
    format!("team-{:02}", deployment % NAMESPACES)
}

/// A pod's.
pub(crate) fn address(pod: usize) -> String {
    let node = pod / 100;
    format!("10.{}.{}.{}", 100 + node / 256, node % 256, 10 + pod % 100)
}

/// What a Deployment's pods ask for: the names in the order in which a resolver tries them, the answered one last.
struct Ask {
    deployment: usize,
    names: Vec<String>,
}

fn ask(rolls: &mut Rolls, log: &Log) -> Ask {
    let deployment = rolls.below(log.deployments());
    let own = namespace(deployment);
    let mut names = Vec::new();
    if rolls.below(10) == 0 || log.services == 0 {
        let name = format!("api-{}.example.com", rolls.below(400));
        names.push(format!("{name}.{own}.{ZONE}"));
        names.push(format!("{name}.{ZONE}"));
        names.push(format!("{name}.cluster.local"));
        names.push(name);
    } else {
        let service = rolls.skewed(log.services);
        let theirs = namespace(service);
        if own != theirs {
            names.push(format!("svc-{service}.{theirs}.{own}.{ZONE}"));
        }
        names.push(format!("svc-{service}.{theirs}.{ZONE}"));
    }
    Ask { deployment, names }
}

/// As many different ones as were asked for, or as a small cluster has.
fn asks(rolls: &mut Rolls, log: &Log) -> Vec<Ask> {
    let (mut asks, mut known) = (Vec::new(), HashSet::new());
    for _ in 0..log.connections.max(1).saturating_mul(50) {
        let ask = ask(rolls, log);
        if known.insert((ask.deployment, ask.names.last().cloned())) {
            asks.push(ask);
        }
        if asks.len() >= log.connections {
            break;
        }
    }
    asks
}

/// Where the lines go.
struct Writer<W: Write> {
    out: W,
    line: Vec<u8>,
    bytes: u64,
    lines: u64,
    wrap: Wrap,
    /// Nanoseconds since the first day's start, and how many a line takes.
    now: u64,
    step: u64,
}

impl<W: Write> Writer<W> {
    fn query(
        &mut self,
        rolls: &mut Rolls,
        client: &str,
        qtype: &str,
        name: &str,
        outcome: &str,
    ) -> io::Result<()> {
        let roll = rolls.next();
        let quote: &[u8] = if self.wrap == Wrap::Docker { b"\\\"" } else { b"\"" };
        self.line(|line| {
            line.extend_from_slice(b"[INFO] ");
            line.extend_from_slice(client.as_bytes());
            line.push(b':');
            number(line, 32_768 + roll % 28_232, 1);
            line.extend_from_slice(b" - ");
            number(line, (roll >> 16) % 65_536, 1);
            line.push(b' ');
            line.extend_from_slice(quote);
            line.extend_from_slice(qtype.as_bytes());
            line.extend_from_slice(b" IN ");
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b". udp ");
            number(line, name.len() as u64 + 18, 1);
            line.extend_from_slice(b" false 512");
            line.extend_from_slice(quote);
            line.push(b' ');
            line.extend_from_slice(outcome.as_bytes());
            line.push(b' ');
            number(line, 90 + (roll >> 32) % 160, 1);
            line.extend_from_slice(b" 0.000");
            number(line, (roll >> 20) % 1_000_000, 6);
            line.push(b's');
        })
    }

    /// Writes one line, wrapped.
    fn line(&mut self, text: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        match self.wrap {
            Wrap::Bare => {}
            Wrap::Timestamps => self.time(&mut line, b" "),
            Wrap::Cri => self.time(&mut line, b" stdout F "),
            Wrap::Docker => line.extend_from_slice(b"{\"log\":\""),
        }
        text(&mut line);
        if self.wrap == Wrap::Docker {
            line.extend_from_slice(b"\\n\",\"stream\":\"stdout\",\"time\":\"");
            self.time(&mut line, b"\"}");
        }
        line.push(b'\n');
        self.now += self.step;
        self.bytes += line.len() as u64;
        self.lines += 1;
        self.line = line;
        self.out.write_all(&self.line)
    }

    fn time(&self, line: &mut Vec<u8>, behind: &[u8]) {
        let (seconds, rest) = (self.now / 1_000_000_000, self.now % 1_000_000_000);
        line.extend_from_slice(b"2026-03-");
        number(line, 12 + seconds / 86_400, 2);
        for (before, value) in
            [(b'T', seconds / 3_600 % 24), (b':', seconds / 60 % 60), (b':', seconds % 60)]
        {
            line.push(before);
            number(line, value, 2);
        }
        line.push(b'.');
        number(line, rest, 9);
        line.push(b'Z');
        line.extend_from_slice(behind);
    }
}

/// A decimal, with zeros up to `width`. `write!` costs three times as much.
fn number(line: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while value > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    line.extend_from_slice(&digits[at..]);
}
