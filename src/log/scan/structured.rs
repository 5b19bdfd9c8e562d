//! A query that CoreDNS itself wrote as JSON (`-log-format=json`): its fields count, and its `msg`, which holds the same query
//! as text, is skipped.

use super::super::Reason;
use super::super::record::{Kind, QType, Rcode, Record};
use super::general::General;
use super::json::{Query, Span};
use super::quoted::{Reader, Style};
use super::{Sink, head};

impl General {
    /// Reads the query's fields.
    pub(super) fn structured(&mut self, window: &[u8], query: &Query, sink: &mut impl Sink) {
        let style = Style { depth: query.depth + 1, csv: false, bare: false };
        let line = &self.line;
        let reader = |span: &Option<Span>| {
            let span = span.clone().unwrap_or(query.place.start..query.place.start);
            Reader::new(window, line.here(span.start), line.here(span.end), style)
        };
        let fields = &query.fields;
        let buffer = &mut [0; 32];
        let qtype = QType::of(reader(&fields.qtype).word(buffer));
        let rcode = match (fields.no_reply, &fields.rcode) {
            (true, _) => Rcode::NO_REPLY,
            (false, None) => Rcode::UNKNOWN,
            (false, Some(_)) => Rcode::of(reader(&fields.rcode).word(buffer)),
        };
        read_all(reader(&fields.client), &mut self.client);
        read_all(reader(&fields.name), &mut self.name);

        let wrong = if !is_name(&self.name) {
            Reason::Malformed
        } else if head::is_redacted(&self.client) {
            Reason::NoClient
        } else {
            let client = self.client.split(|b| *b == b'%').next().unwrap_or_default();
            let time = query.time.or_else(|| self.json.time_at(query.place.start));
            let time = time.or(self.line.time.filter(|_| !self.line.has_record));
            let kind = Kind { qtype, rcode };
            if sink.record(self.line.number, &Record { client, name: &self.name, kind, time }) {
                return self.found(sink);
            }
            Reason::BadAddress
        };
        let (from, to) = (self.line.here(query.place.start), self.line.here(query.place.end));
        self.broken(wrong, window, from, to, sink);
    }
}

fn read_all(mut reader: Reader<'_>, into: &mut Vec<u8>) {
    into.clear();
    while let Some(byte) = reader.byte() {
        into.push(byte);
    }
}

/// Whether this is one name: no blank that is not escaped, no control byte.
fn is_name(text: &[u8]) -> bool {
    let mut escaped = false;
    !text.is_empty()
        && text.iter().all(|byte| {
            let plain = *byte > b' ' || (escaped && *byte == b' ');
            escaped = !escaped && *byte == b'\\';
            plain
        })
        && !escaped
}
