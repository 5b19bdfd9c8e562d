//! A tally's CSV → the tally. Strict: what was not written so is refused, with the row and the reason, and nothing of
//! the file is used. A row of a kind that this version does not know is refused too: half a tally is a wrong tally.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};

use super::{COLUMNS, Depth, GivenUp, HEADER, Input, Lost, Outcome, Row, Tally};
use crate::log::record::{Kind, QType, Rcode};
use crate::log::tally::{KindCounts, Numbers, Sighting};
use crate::log::{Lines, Reason, State};
use crate::name;
use crate::text;
use crate::time::{self, Time};

/// No tally counts more of anything, bytes included. So sums of thousands of them cannot overflow.
const MOST: u64 = 1 << 50;

/// Reads what [`super::write`] wrote. `path` is for messages.
pub fn read(bytes: &[u8], path: &str) -> Result<(Tally, Vec<Input>)> {
    rows(bytes).with_context(|| format!("{}: read as a tally", text::terminal(path)))
}

fn rows(bytes: &[u8]) -> Result<(Tally, Vec<Input>)> {
    let text = std::str::from_utf8(bytes).context("not UTF-8")?;
    let bytes = text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes();
    let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut reader = Reader::default();
    let mut cells = csv::StringRecord::new();
    let mut number = 0_u64;
    let mut ended = None;
    while csv.read_record(&mut cells).with_context(|| format!("row {}", number + 1))? {
        if number == 0 {
            ensure!(cells.iter().eq(HEADER.split(',')), "the first row is not `{HEADER}`");
        } else {
            ensure!(ended.is_none(), "row {}: it stands behind the #end row", number + 1);
            let row = || format!("row {} (line {})", number + 1, line_of(&cells));
            ended = reader.row(&cells).with_context(row)?;
        }
        number += 1;
    }
    let Some(rows) = ended else { bail!("torn: no #end row; make it again") };
    ensure!(rows + 2 == number, "torn: the #end row counts {rows} rows, here are {}", number - 2);
    let Reader { rows, names, paths, lost, depth, inputs, .. } = reader;
    let tally = Tally { lost, depth, ..Tally::of(rows, names, paths) };
    balance(&tally, &inputs)?;
    Ok((tally, inputs))
}

/// What the inputs counted is in the rows or was given up. Where it is not, rows were added, taken away or edited.
fn balance(tally: &Tally, inputs: &[Input]) -> Result<()> {
    let mut counted = [0; 3];
    for input in inputs {
        counted.iter_mut().zip(input.records()).for_each(|(sum, more)| *sum += more);
    }
    let held = tally.records();
    for ((held, counted), what) in held.iter().zip(counted).zip(["answered", "failed", "unknown"]) {
        ensure!(
            *held == counted,
            "edited: of {what} queries its rows hold {held}, its #input rows count {counted}; make it again",
        );
    }
    Ok(())
}

fn line_of(cells: &csv::StringRecord) -> u64 {
    cells.position().map_or(0, csv::Position::line)
}

#[derive(Default)]
struct Reader {
    rows: Vec<Row>,
    lost: Vec<Lost>,
    depth: Depth,
    inputs: Vec<Input>,
    names: Numbers,
    paths: Numbers,
    /// The sum of all counts.
    sum: u64,
    /// The sums over all inputs: of bytes, of lines, of fragments, and of records in each way of counting them.
    sums: [u64; 5],
    bound: bool,
}

impl Reader {
    /// One row; the number in it if it is the last one.
    fn row(&mut self, cells: &csv::StringRecord) -> Result<Option<u64>> {
        ensure!(cells.len() == COLUMNS, "{} cells instead of {COLUMNS}", cells.len());
        let cell = |n: usize| cells.get(n).unwrap_or_default();
        let [client, name, answered, failed, outcomes, first, last, path, line] =
            std::array::from_fn(cell);
        let empty = |cells: &[&str]| match cells.iter().all(|cell| cell.is_empty()) {
            true => Ok(()),
            false => bail!("a cell of this {client} row should be empty"),
        };
        match client {
            "#answered" => {
                empty(&[answered, failed, outcomes])?;
                let sighting = self.sighting([first, last, path, line])?;
                self.answered(text::csv_undo(name), sighting)?;
            }
            "#input" => {
                empty(&[path, line])?;
                let input = input(name, [answered, failed], outcomes, seen(first, last)?)?;
                self.input(input)?;
            }
            "#lost" => {
                empty(&[first, last, path, line])?;
                self.lost(name, [answered, failed], outcomes)?;
            }
            "#bound" => {
                empty(&[name, answered, failed, first, last, path, line])?;
                ensure!(!self.bound, "a second #bound row");
                self.bound = true;
                self.depth = depth(outcomes)?;
            }
            "#end" => {
                empty(&[name, failed, outcomes, first, last, path, line])?;
                return Ok(Some(count(answered)?));
            }
            _ if client.starts_with('#') => {
                bail!("this version knows no `{}` row", text::terminal(client))
            }
            _ => {
                let sighting = self.sighting([first, last, path, line])?;
                let (client, counts) = (address(client)?, self.counts(outcomes)?);
                let name = text::csv_undo(name);
                ensure!(
                    name::spelling(name.as_bytes()) == name,
                    "the name is not spelled as kico does"
                );
                let name = self.names.of(name);
                let row = Row { client, name, counts, sighting, answered: None };
                self.tally_row(row, [answered, failed])?;
            }
        }
        Ok(None)
    }

    fn input(&mut self, input: Input) -> Result<()> {
        let records = input.answered + input.failed + input.unknown + input.outside;
        let Lines { total, fragments, .. } = input.lines;
        let more = [input.bytes, total, fragments, records, input.untimed];
        for (sum, more) in self.sums.iter_mut().zip(more) {
            *sum += more;
            ensure!(*sum <= MOST, "more than any logs hold");
        }
        self.inputs.push(input);
        Ok(())
    }

    fn tally_row(&mut self, row: Row, columns: [&str; 2]) -> Result<()> {
        for (outcome, column) in [Outcome::Answered, Outcome::Failed].into_iter().zip(columns) {
            ensure!(row.count(outcome) == count(column)?, "its counts do not add up");
        }
        if let Some(before) = self.rows.last() {
            let order = before.order_by(&row, |name| self.names.text(name));
            ensure!(order.is_lt(), "it is out of order");
        }
        self.rows.push(row);
        Ok(())
    }

    fn answered(&mut self, name: &str, sighting: Sighting) -> Result<()> {
        let row = self.rows.last_mut().context("no row above it")?;
        let fits = self.names.text(row.name) == name
            && row.answered.is_none()
            && row.count(Outcome::Answered) > 0
            && row.sighting.seen.is_some() == sighting.seen.is_some()
            && row.sighting != sighting;
        ensure!(fits, "it does not belong to the row above it");
        row.answered = Some(Box::new(sighting));
        Ok(())
    }

    fn counts(&mut self, outcomes: &str) -> Result<KindCounts> {
        let mut counts = KindCounts::new();
        for item in outcomes.split(';') {
            let (kind, n) = item.split_once('=').context("an outcome without `=`")?;
            let (qtype, rcode) = kind.split_once('/').context("an outcome without `/`")?;
            let kind =
                Kind { qtype: QType::of(qtype.as_bytes()), rcode: Rcode::of(rcode.as_bytes()) };
            let known = (kind.qtype.text(), kind.rcode.text()) == (qtype, rcode);
            ensure!(known, "`{}` is no outcome", text::terminal(item));
            ensure!(counts.last().is_none_or(|(last, _)| *last < kind), "outcomes out of order");
            let n = self.sum(n)?;
            ensure!(n > 0, "an outcome that was never seen");
            counts.push((kind, n));
        }
        Ok(counts)
    }

    /// A count of records.
    fn sum(&mut self, cell: &str) -> Result<u64> {
        let n = count(cell)?;
        self.sum += n;
        ensure!(self.sum <= MOST, "more records than any log holds");
        Ok(n)
    }

    fn sighting(&mut self, [first, last, path, line]: [&str; 4]) -> Result<Sighting> {
        let path = decode(text::csv_undo(path))?;
        let line = count(line)?;
        ensure!(line > 0, "lines count from 1");
        Ok(Sighting { seen: seen(first, last)?, path: self.paths.of(&path), line })
    }

    fn lost(&mut self, name: &str, columns: [&str; 2], outcomes: &str) -> Result<()> {
        let client = if name.is_empty() { None } else { Some(address(name)?) };
        let before = self.lost.last().map(|lost| (lost.client.is_none(), lost.client));
        let in_order = before.is_none_or(|before| before < (client.is_none(), client));
        ensure!(in_order, "it is out of order");
        let mut facts = Facts::of(outcomes)?;
        let unknown = facts.take("unknown")?;
        let (of_cluster, names) = (facts.count("cluster")?, facts.count("names")?);
        facts.end()?;
        let records = [self.sum(columns[0])?, self.sum(columns[1])?, self.sum(unknown)?];
        self.lost.push(Lost { client, given_up: GivenUp { records, of_cluster }, names });
        Ok(())
    }
}

fn input(
    name: &str,
    [answered, failed]: [&str; 2],
    outcomes: &str,
    seen: Option<(Time, Time)>,
) -> Result<Input> {
    let mut facts = Facts::of(outcomes)?;
    let mut lines = Lines {
        total: facts.count("lines")?,
        queries: facts.count("queries")?,
        other: facts.count("other")?,
        fragments: facts.count("fragments")?,
        ..Lines::default()
    };
    for (reason, n) in Reason::ALL.iter().zip(&mut lines.rejected) {
        *n = facts.count_or_none(&format!("rejected.{}", reason.word()))?;
    }
    let sum = lines.queries + lines.other + lines.rejected.iter().sum::<u64>();
    ensure!(sum == lines.total, "its lines do not add up");
    let id = facts.take("id")?;
    let problem = facts.take_if("problem").map(decode).transpose()?;
    let state = facts.take("state")?;
    let all = [
        State::Complete,
        State::Grew,
        State::Changed,
        State::Truncated,
        State::Unreadable,
        State::Interrupted,
    ];
    let input = Input {
        path: decode(text::csv_undo(name))?,
        is_log: match facts.take_if("log") {
            None => true,
            Some("no") => false,
            Some(_) => bail!("`log` is neither absent nor `no`"),
        },
        bytes: facts.count("bytes")?,
        lines,
        answered: count(answered)?,
        failed: count(failed)?,
        unknown: facts.count_or_none("unknown")?,
        outside: facts.count_or_none("outside")?,
        untimed: facts.count_or_none("untimed")?,
        seen,
        state: all.into_iter().find(|s| s.word() == state).context("an unknown state")?,
        problem,
        id: u64::from_str_radix(id, 16)
            .ok()
            .filter(|n| format!("{n:016x}") == id)
            .context("a broken id")?,
    };
    facts.end()?;
    Ok(input)
}

fn depth(outcomes: &str) -> Result<Depth> {
    let mut facts = Facts::of(outcomes)?;
    let most = Depth::default();
    let mut part = |key, most: u32| match facts.count(key).map(u32::try_from) {
        Ok(Ok(n)) if (1..=most).contains(&n) => Ok(n),
        _ => bail!("`{key}` is no number of pairs"),
    };
    let (known, unknown) = (part("known", most.known)?, part("unknown", most.unknown)?);
    let crowded = match facts.take_if("crowded") {
        None => [false, false],
        Some("known") => [true, false],
        Some("unknown") => [false, true],
        Some("both") => [true, true],
        Some(_) => bail!("an unknown word for who was crowded"),
    };
    facts.end()?;
    Ok(Depth { known, unknown, crowded })
}

/// `key=value;…`, each taken once.
struct Facts<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Facts<'a> {
    fn of(text: &'a str) -> Result<Facts<'a>> {
        let facts = text.split(';').map(|fact| fact.split_once('=').context("a fact without `=`"));
        facts.collect::<Result<_>>().map(Facts)
    }

    fn take_if(&mut self, key: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(known, _)| *known == key)?;
        Some(self.0.swap_remove(at).1)
    }

    fn take(&mut self, key: &str) -> Result<&'a str> {
        self.take_if(key).with_context(|| format!("no `{key}`"))
    }

    fn count(&mut self, key: &str) -> Result<u64> {
        count(self.take(key)?)
    }

    fn count_or_none(&mut self, key: &str) -> Result<u64> {
        self.take_if(key).map_or(Ok(0), count)
    }

    /// Nothing may be left that was not understood.
    fn end(self) -> Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => bail!("`{}` is not understood", text::terminal(key)),
        }
    }
}

/// As it was written: no sign, no leading zero.
fn count(cell: &str) -> Result<u64> {
    let n = cell.parse::<u64>().ok().filter(|n| *n <= MOST && n.to_string() == cell);
    n.with_context(|| format!("`{}` is no count", text::terminal(cell)))
}

fn address(cell: &str) -> Result<IpAddr> {
    let address = cell.parse::<IpAddr>().ok().filter(|ip| ip.to_canonical().to_string() == cell);
    address.with_context(|| format!("`{}` is no address", text::terminal(cell)))
}

fn seen(first: &str, last: &str) -> Result<Option<(Time, Time)>> {
    if first.is_empty() && last.is_empty() {
        return Ok(None);
    }
    let time =
        |cell| time::parse(cell).with_context(|| format!("`{}` is no time", text::terminal(cell)));
    let (first, last) = (time(first)?, time(last)?);
    ensure!(first <= last, "it was last seen before it was first seen");
    Ok(Some((first, last)))
}

/// Undoes [`super::encode`].
fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.context("a `%` that encodes nothing")?);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8(bytes).ok().context("an encoded text that is not UTF-8")
}
