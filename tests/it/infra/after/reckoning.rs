//! What `docs/measurements.md` works out from its counts: the load of a mailbox, what it costs and
//! how far it scales. Stories hold the counts; here the arithmetic is held.

use world::host::FunctionApp;

use crate::generated::{Section, path_of, read, table};
use crate::{TestError, TestResult};

const MEASUREMENTS: &str = "docs/measurements.md";
/// Working days of a month, and all its days.
const WORKING_DAYS: f64 = 22.0;
const DAYS: f64 = 30.0;
/// An operation of a queue, in USD.
const OPERATION: f64 = 0.004 / 1e4;
/// The seconds of ten hours of each working day: when there is work.
const WORKING_SECONDS: f64 = WORKING_DAYS * 10.0 * 3_600.0;

/// Table calls, queue messages, requests to Graph, POSTs.
#[derive(Debug, Clone, Copy)]
struct Load([f64; 4]);

impl Load {
    fn times(self, factor: f64) -> Self {
        Self(self.0.map(|number| number * factor))
    }

    fn and(self, other: Self) -> Self {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        Self([a + e, b + f, c + g, d + h])
    }

    fn row(self, name: &str) -> Vec<String> {
        let numbers = self.0.iter().map(|number| short(*number, 2));
        std::iter::once(name.to_owned()).chain(numbers).collect()
    }
}

/// `number` with at most so many decimals, and commas between its thousands.
fn short(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match rest.trim_end_matches('0') {
        "" => grouped,
        rest => format!("{grouped}.{rest}"),
    }
}

/// What one of these makes: three numbers from the row that begins with `what`, and the
/// POSTs that tell of it.
fn counted(what: &str, posts: f64) -> Result<Load, TestError> {
    let document = read(MEASUREMENTS)?;
    let row = document.lines().find(|line| line.starts_with(&format!("| {what}")));
    let cells = row.ok_or_else(|| format!("{MEASUREMENTS} counts no {what}"))?.split('|').skip(2);
    let numbers: Vec<f64> = cells.take(3).filter_map(|cell| cell.trim().parse().ok()).collect();
    let [tables, messages, graph] = numbers[..] else { return Err("three numbers".into()) };
    Ok(Load([tables, messages, graph, posts]))
}

/// Of one mailbox.
struct Mailbox {
    day: Load,
    comparison: Load,
    month: Load,
}

fn mailbox() -> Result<Mailbox, TestError> {
    let alone = counted("An appointment without a room (1 created", 2.0)?;
    // Notified in two POSTs, and so in two messages; it is read and looked up once.
    let [tables, messages, graph, posts] = alone.0;
    let alone = Load([tables, 2.0 * messages, graph, posts]);
    let comparison = counted("Renewing 1,000 mailboxes", 0.0)?.times(0.001);
    let day = alone
        .times(8.0)
        .and(counted("A new booking: ", 6.0)?.times(0.5))
        .and(counted("A move |", 4.0)?.times(0.1))
        .and(counted("A cancellation |", 2.0)?.times(0.05))
        .and(counted("A run of `purge-expired`", 0.0)?.times(0.5));
    let month = day.times(WORKING_DAYS).and(comparison.times(DAYS));
    Ok(Mailbox { day, comparison, month })
}

#[test]
fn the_load_of_a_mailbox_is_made_of_the_counts() -> TestResult {
    let Mailbox { day, comparison, month } = mailbox()?;
    let whole = month.0.iter().map(|number| short(*number, 0));
    let rows = [
        day.row("a working day"),
        comparison.row("a comparison, every day"),
        std::iter::once("a month (22 and 30 days)".to_owned()).chain(whole).collect(),
    ];
    let head = ["", "table calls", "queue messages", "requests to Graph", "POSTs"];
    Section::new(MEASUREMENTS, "load", table(&head, rows)).assert_up_to_date()
}

/// `maxPollingInterval` in host.json.
fn polling_seconds() -> Result<f64, TestError> {
    let app = FunctionApp::read(&path_of(""))?;
    Ok(app.settings.queues.max_polling_interval.as_secs_f64())
}

/// What so many mailboxes cost in a month, in USD: the columns of the table. A message is three
/// operations of its queue; each of five queues is looked into half of the day. A run is billed for at
/// least a second of 2 GB; that they run together in so few instances is assumed.
fn cost(mailboxes: f64) -> Result<Vec<String>, TestError> {
    let [tables, messages, _, posts] = mailbox()?.month.times(mailboxes).0;
    let tables = tables * 0.00036 / 1e4;
    let idle = 5.0 * 43_200.0 * DAYS / polling_seconds()?;
    let queues = (messages * 3.0 + idle) * OPERATION;
    let runs = posts + messages;
    let executions = (runs - 250_000.0).max(0.0) * 0.40 / 1e6;
    let instances = 6.0 + runs / WORKING_SECONDS / 16.0;
    let gigabyte_seconds = (runs * 2.0).min(instances * WORKING_SECONDS * 2.0);
    let compute = (gigabyte_seconds - 100_000.0).max(0.0) * 0.000_026;
    let ready = 2.0 * DAYS * 86_400.0 * 0.000_004;
    // Of the handler's lines (see `volume`) and what Azure adds to them, assumed: 0.7 kB a line, three to
    // four rows of 1 kB an execution, and one a message.
    let logs = (mailboxes * 5.1 / 1e3 - 5.0).max(0.0) * 2.30;
    let rest = tables + queues + executions + ready + 14.0;
    let all = compute + logs + rest;
    let mut row = [mailboxes, compute, logs, rest].map(|usd| short(usd, 0)).to_vec();
    row.push(format!("**{}**", short(all, 0)));
    row.push(format!("{:.3}", all / mailboxes));
    Ok(row)
}

#[test]
fn the_cost_is_reckoned_from_the_load() -> TestResult {
    let sizes = [100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];
    let rows = sizes.into_iter().map(cost).collect::<Result<Vec<_>, _>>()?;
    let rest = "executions, tables, queues, always ready, alerts";
    let head = ["mailboxes", "compute", "logs", rest, "**USD a month**", "for a mailbox"];
    Section::new(MEASUREMENTS, "cost", table(&head, rows)).assert_up_to_date()
}

/// What happens in a working day happens at this part of it a second in the busiest minute: a fifth of
/// it in the busiest hour, whose busiest minute has twice the mean.
const BUSIEST: f64 = 2.0 * 0.2 / 3_600.0;
const SIZES: [f64; 4] = [1e3, 1e4, 1e5, 1e6];

/// Something that one mailbox makes in a second, or needs, and what bounds it first.
struct Growth {
    what: &'static str,
    of_one: f64,
    limit: f64,
    named: &'static str,
    lever: &'static str,
}

impl Growth {
    fn row(&self) -> Vec<String> {
        let numbers = SIZES.iter().map(|size| {
            let number = self.of_one * size;
            short(number, if number < 10.0 { 2 } else { 0 })
        });
        let reached = self.limit / self.of_one / 1e6;
        let reached = format!("{} million", short(reached, if reached < 10.0 { 2 } else { 0 }));
        let limit = format!("{} {}", short(self.limit, 0), self.named);
        let rest = [limit, reached, self.lever.to_owned()];
        std::iter::once(self.what.to_owned()).chain(numbers).chain(rest).collect()
    }
}

/// The requests to Graph of one of these, those within a batch too: each is a row of the audit.
fn audited(what: &str) -> Result<f64, TestError> {
    let counts = read("tests/fixtures/counts.txt")?;
    let lines = counts.lines().skip_while(|line| !line.starts_with(what)).skip(1);
    let calls = lines.take_while(|line| line.starts_with(' ')).filter_map(|line| {
        let (count, call) = line.trim().split_once(' ')?;
        let is_request = call.contains(" /") && !call.ends_with("/$batch");
        is_request.then(|| count.parse::<f64>().ok()).flatten()
    });
    Ok(calls.sum())
}

/// What grows with the mailboxes, all of them in one tenant.
fn growth() -> Result<Vec<Growth>, TestError> {
    let [tables, messages, graph, posts] = mailbox()?.day.times(BUSIEST).0;
    // All messages but two of create-booking and two of write-back for each change of a booking.
    let to_fetch_event = (8.0 * 2.0 + 0.5 * 4.0 + 0.1 * 3.0 + 0.05) * BUSIEST;
    let audit = audited("An appointment without a room")? * 8.0
        + audited("A new booking: ")? * 0.5
        + audited("A move")? * 0.1
        + audited("A cancellation")? * 0.05;
    // Half a second for each execution, of which an instance has sixteen at once.
    let instances = (posts + messages) * 0.5 / 16.0;
    let queue = 2_000.0;
    let make = |what, of_one, limit, named, lever| Growth { what, of_one, limit, named, lever };
    Ok(vec![
        make("POSTs, each a put at least", posts, queue, "messages, a queue", "queues by tenant"),
        make(
            "messages, all queues",
            messages,
            20_000.0,
            "messages, an account",
            "accounts by tenant",
        ),
        make(
            "messages to `fetch-event`",
            to_fetch_event,
            queue,
            "messages, a queue",
            "queues by tenant",
        ),
        make("table calls", tables, 20_000.0, "requests, an account", "accounts by tenant"),
        make(
            "calls of tables and queues",
            tables + 3.0 * messages,
            20_000.0,
            "requests, an account",
            "tables and queues in two accounts",
        ),
        make(
            "rows of an `Audit` partition (of 16)",
            audit * BUSIEST / 16.0,
            2_000.0,
            "rows, a partition",
            "more partitions",
        ),
        make("requests to Graph", graph, 13_000.0, "requests, an app", "registrations by tenant"),
        make(
            "daily checks",
            1.0 / 86_400.0,
            12.0,
            "checks, a tenant: half of Graph's quota",
            "less than daily",
        ),
        make("instances", instances, 250.0, "of 2 GB, a region", "Microsoft's support, or regions"),
    ])
}

#[test]
fn the_busiest_minute_is_reckoned_from_the_load() -> TestResult {
    let mut rows: Vec<_> = growth()?.iter().map(Growth::row).collect();
    let usd = SIZES.into_iter().map(|size| Ok(cost(size)?.swap_remove(4)));
    let usd = usd.collect::<Result<Vec<_>, TestError>>()?;
    rows.push(
        std::iter::once("**USD a month**".to_owned())
            .chain(usd)
            .chain(["", "", ""].map(str::to_owned))
            .collect(),
    );
    let sizes = SIZES.map(|size| short(size, 0));
    let [one, two, three, four] = sizes.each_ref().map(String::as_str);
    let head =
        ["a second", one, two, three, four, "first limit", "reached at", "lever (not built)"];
    Section::new(MEASUREMENTS, "scale", table(&head, rows)).assert_up_to_date()
}

#[test]
fn polls_cost_what_the_document_says() -> TestResult {
    let document = read(MEASUREMENTS)?;
    for (name, interval) in [("250 ms", 0.25), ("500 ms", 0.5), ("1 s", 1.0), ("2 s", 2.0)] {
        let looks = DAYS * 86_400.0 / interval;
        let cells = format!("| {:.1} million | {:.2} |", looks / 1e6, looks * OPERATION);
        let chosen = format!("| **{name}**, in `host.json` |");
        let is_ours = interval == polling_seconds()?;
        let head = if is_ours { chosen } else { format!("| {name} |") };
        let row = document.lines().find(|line| line.starts_with(&head));
        assert!(row.is_some_and(|row| row.ends_with(&cells)), "{head} … {cells}");
    }
    let ready = 3.0 * 2.0 * DAYS * 86_400.0 * 0.000_004;
    assert!(document.contains(&format!("{} USD a month (2 GB", short(ready, 0))));
    Ok(())
}

#[test]
fn polling_that_is_not_logged_would_cost_what_the_document_says() -> TestResult {
    // Seen with a look every two seconds.
    let polling = 507.0 * 2.0 / polling_seconds()?;
    let daily = polling * 1_440.0 / 1e6;
    let sentence = format!(
        "{} kB a minute, {} GB a day for each instance, {} USD a month",
        short(polling, 0),
        short(daily, 2),
        short(daily * DAYS * 2.30, 0)
    );
    assert!(read(MEASUREMENTS)?.contains(&sentence), "{MEASUREMENTS} does not say: {sentence}");
    Ok(())
}
