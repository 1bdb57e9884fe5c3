//! The function.json files, host.json, the table of functions and the queues agree.
//!
//! The host's side is read by the world's own reader, which refuses output bindings, retries on
//! queue functions, encoded messages, function keys and everything else this project does not use.

use std::collections::BTreeSet;
use std::path::Path;

use roombridge::host::functions::PREFIX;
use roombridge::host::{FUNCTIONS, Limits, Trigger};
use roombridge::queue::Queue;
use world::host::ncrontab::Schedule;
use world::host::{FunctionApp, TriggerFile};

#[expect(clippy::expect_used, reason = "without the app's files there is nothing to compare")]
fn app() -> FunctionApp {
    FunctionApp::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the app's files are sound")
}

#[test]
fn every_function_has_a_folder_and_every_folder_a_function() {
    let folders: BTreeSet<String> = app().functions.into_iter().map(|f| f.name).collect();
    let table: BTreeSet<String> = FUNCTIONS.iter().map(|f| f.name.to_owned()).collect();
    assert_eq!(folders, table);
    assert_eq!(table.len(), FUNCTIONS.len(), "each name occurs once");
    let entries = std::fs::read_dir(app().root.join("function-app")).expect("the folder is there");
    assert_eq!(entries.count(), table.len(), "nothing else lies in function-app");
}

#[test]
fn every_folder_says_what_the_table_says() {
    for file in app().functions {
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == file.name) else {
            panic!("{} is not in the table", file.name);
        };
        match (function.trigger, &file.trigger) {
            (Trigger::Http { route, methods }, TriggerFile::Http { route: r, methods: m }) => {
                assert_eq!(
                    (route, methods.to_vec()),
                    (r.as_str(), m.iter().map(|m| m.as_str()).collect())
                );
                assert!(!route.contains('*'), "{}: no catch-all", file.name);
            }
            (Trigger::Queue { queue }, TriggerFile::Queue { queue: q, connection, binary, .. }) => {
                assert_eq!(queue.name(), q);
                assert_eq!(function.name, q, "a queue is called what its function is called");
                assert_eq!(connection, "AzureWebJobsStorage");
                assert!(!binary, "{}: the text comes as a string", file.name);
            }
            (Trigger::Timer { schedule }, TriggerFile::Timer { expression, use_monitor, .. }) => {
                assert_eq!(schedule, expression);
                assert!(Schedule::parse(schedule).is_ok());
                assert!(use_monitor, "{}: a missed run is caught up", file.name);
                assert!(file.retry.is_some(), "{}: a failed run is repeated", file.name);
            }
            (table, file) => panic!("{}: {table:?} in the table, {file:?} on disk", function.name),
        }
    }
}

#[test]
fn every_queue_is_read_by_one_function() {
    let mut read: Vec<Queue> = FUNCTIONS
        .iter()
        .filter_map(|function| match function.trigger {
            Trigger::Queue { queue } => Some(queue),
            Trigger::Http { .. } | Trigger::Timer { .. } => None,
        })
        .collect();
    read.sort();
    assert_eq!(read, Queue::ALL);
    for queue in Queue::ALL {
        assert_eq!(queue.poison_name(), format!("{}-poison", queue.name()));
    }
}

#[test]
fn no_function_can_be_reached_as_another() {
    assert_eq!(app().settings.route_prefix, PREFIX);
    for function in FUNCTIONS {
        assert_ne!(function.name, PREFIX, "the prefix belongs to HTTP functions");
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(function.name.chars().all(plain), "{}", function.name);
    }
}

#[test]
fn the_handler_gives_up_before_the_host_does() {
    let limits = Limits::default();
    assert!(limits.timeout + Limits::MARGIN <= app().settings.function_timeout);
    assert!(limits.timer_soft_timeout < limits.timeout);
}

#[test]
fn timers_never_start_together() {
    let timers = FUNCTIONS.iter().filter_map(|function| match function.trigger {
        Trigger::Timer { schedule } => Some(schedule),
        Trigger::Http { .. } | Trigger::Queue { .. } => None,
    });
    let seconds: Vec<&str> = timers.filter_map(|schedule| schedule.split(' ').next()).collect();
    assert_eq!(seconds.iter().collect::<BTreeSet<_>>().len(), seconds.len());
}

#[test]
fn five_tries_outlast_an_outage_of_three_minutes() {
    let queues = app().settings.queues;
    let waits = queues.max_dequeue_count - 1;
    assert!(queues.visibility_timeout * waits > std::time::Duration::from_secs(180));
    assert_eq!((queues.batch_size, queues.new_batch_threshold), (32, 32));
}
