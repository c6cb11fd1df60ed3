//! Runs the seeds on three threads, each with its own database, and reports how to replay one that failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;

use crate::simulation;
use crate::simulation::Violation;
use crate::statement_recorder::StatementRecorder;
use crate::testbed::TestBed;
use crate::trace::Trace;

const THREADS: usize = 3;
const SEEDS: u64 = 300;
/// Lines at the end of a trace that are printed for a failed seed.
const TRACE_TAIL: usize = 80;

/// A seed that broke an invariant.
struct Failure {
    seed: u64,
    violations: Vec<Violation>,
    trace: Trace,
}

struct Thread {
    runtime: Runtime,
    testbed: Option<TestBed>,
    number: usize,
}

impl Thread {
    fn start(number: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let testbed = Some(runtime.block_on(TestBed::set_up(number)));
        Self { runtime, testbed, number }
    }

    /// Runs one seed. A panic counts as a violation, and the test bed is set up anew after it.
    fn run(&mut self, seed: u64, prints: bool) -> (Vec<Violation>, Trace) {
        let trace = Trace::new(prints);
        let mut testbed =
            self.testbed.take().unwrap_or_else(|| self.runtime.block_on(TestBed::set_up(self.number)));
        let result = catch_unwind(AssertUnwindSafe(|| {
            let violations = self.runtime.block_on(simulation::run(&mut testbed, seed, &trace));
            (violations, testbed)
        }));
        match result {
            Ok((violations, testbed)) => {
                self.testbed = Some(testbed);
                (violations, trace)
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                (vec![format!("panicked: {}", text.unwrap_or_default())], trace)
            }
        }
    }

    fn end(mut self) {
        if let Some(testbed) = self.testbed.take() {
            self.runtime.block_on(testbed.database.drop());
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_every_invariant() {
    let first = number("SEED");
    let count = number("SEEDS").unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let (first, prints) = (first.unwrap_or(0), count == 1);
    let (next, failures, began) = (AtomicU64::new(first), Mutex::new(Vec::new()), Instant::now());
    std::thread::scope(|scope| {
        for thread in 0..THREADS.min(usize::try_from(count).unwrap()) {
            let (next, failures) = (&next, &failures);
            scope.spawn(move || run_seeds(thread, next, first + count, prints, failures));
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{count} seeds from {first} in {:.0?}, {} failed", began.elapsed(), failures.len());
    report(&failures, prints);
    assert!(failures.is_empty(), "{} of {count} seeds broke an invariant", failures.len());
}

fn run_seeds(thread: usize, next: &AtomicU64, end: u64, prints: bool, failures: &Mutex<Vec<Failure>>) {
    let _recorder = tracing::subscriber::set_default(StatementRecorder);
    let mut thread = Thread::start(thread);
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        let (violations, trace) = thread.run(seed, prints);
        if !violations.is_empty() {
            failures.lock().unwrap().push(Failure { seed, violations, trace });
        }
    }
    thread.end();
}

/// Prints all violations, and the trace of the first failed seed.
fn report(failures: &[Failure], was_printed: bool) {
    if let Some(Failure { trace, .. }) = failures.first().filter(|_| !was_printed) {
        let lines = trace.lines();
        for line in lines.iter().skip(lines.len().saturating_sub(TRACE_TAIL)) {
            println!("  {line}");
        }
    }
    for Failure { seed, violations, .. } in failures {
        println!("SEED={seed}: {}", violations.join("; "));
    }
    if let Some(Failure { seed, .. }) = failures.first() {
        println!("replay with: cargo xtask chaos --seed {seed}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    let _recorder = tracing::subscriber::set_default(StatementRecorder);
    let mut thread = Thread::start(THREADS);
    let [first, second] = [0, 1].map(|_| thread.run(7, false).1.lines());
    thread.end();
    let differ = first.iter().zip(&second).position(|(a, b)| a != b);
    assert_eq!(differ.map(|line| (line, &first[line], &second[line])), None);
    assert_eq!(first.len(), second.len());
}
