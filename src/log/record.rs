//! One query record, and the small vocabularies of types and response codes. Plain values; nothing is read here.

use crate::time::Time;

/// One query, as one line (or one part of a line) says it. Borrowed from the line, or from the scanner's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The client's address as text, without port, brackets or zone.
    pub client: &'a [u8],
    /// The name as CoreDNS printed it (JSON escapes of a wrapper undone, DNS escapes kept), final dot included.
    pub name: &'a [u8],
    /// What was asked, and how it went.
    pub kind: Kind,
    /// When, if the line says so.
    pub time: Option<Time>,
}

/// What was asked, and how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The query type.
    pub qtype: QType,
    /// The response code.
    pub rcode: Rcode,
}

/// A query type that kico has a word for. All others are one, [`QType::OTHER`]: none of them makes a connection, and
/// a client could ask for 65,535 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QType(u8);

/// A response code, or the lack of one: `-` is no reply ("failed"), `?` is a line that holds no rcode ("unknown").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(u8);

/// How a lookup went (SEMANTICS 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// NOERROR, with a reply.
    Answered,
    /// Another rcode, or no reply.
    Failed,
    /// The line does not say.
    Unknown,
}

/// Bytewise sorted, so that an index order is a text order.
const QTYPES: &[&str] = &[
    "A",
    "A6",
    "AAAA",
    "AFSDB",
    "AMTRELAY",
    "ANY",
    "APL",
    "ATMA",
    "AVC",
    "AXFR",
    "CAA",
    "CDNSKEY",
    "CDS",
    "CERT",
    "CNAME",
    "CSYNC",
    "DHCID",
    "DLV",
    "DNAME",
    "DNSKEY",
    "DS",
    "EID",
    "EUI48",
    "EUI64",
    "GID",
    "GPOS",
    "HINFO",
    "HIP",
    "HTTPS",
    "IPSECKEY",
    "ISDN",
    "IXFR",
    "KEY",
    "KX",
    "L32",
    "L64",
    "LOC",
    "LP",
    "MAILA",
    "MAILB",
    "MB",
    "MD",
    "MF",
    "MG",
    "MINFO",
    "MR",
    "MX",
    "NAPTR",
    "NID",
    "NIMLOC",
    "NINFO",
    "NS",
    "NSAP-PTR",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "NULL",
    "NXNAME",
    "NXT",
    "None",
    "OPENPGPKEY",
    "OPT",
    "OTHER",
    "PTR",
    "PX",
    "RESINFO",
    "RKEY",
    "RP",
    "RRSIG",
    "RT",
    "Reserved",
    "SIG",
    "SMIMEA",
    "SOA",
    "SPF",
    "SRV",
    "SSHFP",
    "SVCB",
    "TA",
    "TALINK",
    "TKEY",
    "TLSA",
    "TSIG",
    "TXT",
    "TYPE64",
    "TYPE65",
    "UID",
    "UINFO",
    "UNSPEC",
    "URI",
    "X25",
    "ZONEMD",
];

/// Bytewise sorted.
const RCODES: &[&str] = &[
    "-",
    "?",
    "BADALG",
    "BADCOOKIE",
    "BADKEY",
    "BADMODE",
    "BADNAME",
    "BADSIG",
    "BADTIME",
    "BADTRUNC",
    "BADVERS",
    "DSOTYPENI",
    "FORMERR",
    "NOERROR",
    "NOTAUTH",
    "NOTIMP",
    "NOTIMPL",
    "NOTZONE",
    "NXDOMAIN",
    "NXRRSET",
    "OTHER",
    "REFUSED",
    "SERVFAIL",
    "YXDOMAIN",
    "YXRRSET",
];

const fn position(table: &[&str], word: &str) -> u8 {
    let mut i = 0;
    while i < table.len() {
        let (a, b) = (table[i].as_bytes(), word.as_bytes());
        let mut same = a.len() == b.len();
        let mut k = 0;
        while same && k < a.len() {
            same = a[k] == b[k];
            k += 1;
        }
        if same {
            return i as u8;
        }
        i += 1;
    }
    panic!("no such word")
}

fn find(table: &[&str], text: &[u8]) -> Option<u8> {
    let found = table.binary_search_by(|word| word.as_bytes().cmp(text)).ok()?;
    u8::try_from(found).ok()
}

impl Kind {
    /// A small number for it, to be hashed.
    pub(super) fn number(self) -> u16 {
        u16::from_be_bytes([self.qtype.0, self.rcode.0])
    }
}

impl QType {
    /// `A`
    pub const A: QType = QType(position(QTYPES, "A"));
    /// `AAAA`
    pub const AAAA: QType = QType(position(QTYPES, "AAAA"));
    /// `SRV`
    pub const SRV: QType = QType(position(QTYPES, "SRV"));
    /// Every type that has no word here.
    pub const OTHER: QType = QType(position(QTYPES, "OTHER"));

    /// The type of this text.
    pub fn of(text: &[u8]) -> QType {
        match text {
            b"A" => QType::A,
            b"AAAA" => QType::AAAA,
            _ => find(QTYPES, text).map_or(QType::OTHER, QType),
        }
    }

    /// Its text.
    pub fn text(self) -> &'static str {
        QTYPES[usize::from(self.0)]
    }

    /// Whether a query of this type asks for an address, and so makes a connection (SEMANTICS 3). Before CoreDNS
    /// 1.8.0 HTTPS and SVCB were printed as TYPE65 and TYPE64.
    pub fn asks_for_address(self) -> bool {
        matches!(
            self.text(),
            "A" | "AAAA" | "SRV" | "HTTPS" | "SVCB" | "ANY" | "CNAME" | "TYPE65" | "TYPE64"
        )
    }
}

impl Rcode {
    /// `NOERROR`, with a reply.
    pub const NOERROR: Rcode = Rcode(position(RCODES, "NOERROR"));
    /// `NXDOMAIN`
    pub const NXDOMAIN: Rcode = Rcode(position(RCODES, "NXDOMAIN"));
    /// `-`: no reply was written, whatever the rcode beside it says.
    pub const NO_REPLY: Rcode = Rcode(position(RCODES, "-"));
    /// `?`: the line holds no rcode.
    pub const UNKNOWN: Rcode = Rcode(position(RCODES, "?"));
    /// Every rcode that has no word here: CoreDNS prints those as a number.
    pub const OTHER: Rcode = Rcode(position(RCODES, "OTHER"));

    /// The rcode of this text.
    pub fn of(text: &[u8]) -> Rcode {
        match text {
            b"NOERROR" => Rcode::NOERROR,
            b"NXDOMAIN" => Rcode::NXDOMAIN,
            _ => find(RCODES, text).map_or(Rcode::OTHER, Rcode),
        }
    }

    /// Its text.
    pub fn text(self) -> &'static str {
        RCODES[usize::from(self.0)]
    }

    /// How a lookup with this rcode went.
    pub fn outcome(self) -> Outcome {
        match self {
            Rcode::NOERROR => Outcome::Answered,
            Rcode::UNKNOWN => Outcome::Unknown,
            _ => Outcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_read_back() {
        for table in [QTYPES, RCODES] {
            assert!(table.is_sorted(), "{table:?}");
        }
        for word in QTYPES {
            assert_eq!(QType::of(word.as_bytes()).text(), *word);
        }
        for word in RCODES {
            assert_eq!(Rcode::of(word.as_bytes()).text(), *word);
        }
        assert_eq!(QType::of(b"TYPE1234"), QType::OTHER);
        assert_eq!(Rcode::of(b"3841"), Rcode::OTHER);
    }
}
