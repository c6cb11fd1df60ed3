//! Runs the seeds on three threads, each with its own database, and says how to replay one that broke a promise.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::runtime::Runtime;

use crate::{
    bench::Bench,
    life::{self, Broken},
    marks::Ear,
    story::Story,
};

const THREADS: usize = 3;
const SEEDS: u64 = 300;
/// Enough of a story to see what led to its end.
const TAIL: usize = 80;

/// A seed that broke a promise.
struct Failure {
    seed: u64,
    broken: Vec<Broken>,
    story: Story,
}

struct Thread {
    runtime: Runtime,
    bench: Option<Bench>,
    number: usize,
}

impl Thread {
    fn start(number: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bench = Some(runtime.block_on(Bench::set_up(number)));
        Self { runtime, bench, number }
    }

    /// A panic in the middle of a seed breaks it like anything else; the bench is set up anew after it.
    fn run(&mut self, seed: u64, aloud: bool) -> (Vec<Broken>, Story) {
        let story = Story::new(aloud);
        let mut bench =
            self.bench.take().unwrap_or_else(|| self.runtime.block_on(Bench::set_up(self.number)));
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let broken = self.runtime.block_on(life::live(&mut bench, seed, &story));
            (broken, bench)
        }));
        match lived {
            Ok((broken, bench)) => {
                self.bench = Some(bench);
                (broken, story)
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                (vec![format!("panicked: {}", text.unwrap_or_default())], story)
            }
        }
    }

    fn end(mut self) {
        if let Some(bench) = self.bench.take() {
            self.runtime.block_on(bench.database.drop());
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn whatever_fails_every_period_is_paid_once_or_not_at_all_and_everybody_is_told_once() {
    let first = number("SEED");
    let count = number("SEEDS").unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let (first, aloud) = (first.unwrap_or(0), count == 1);
    let (next, failures, began) = (AtomicU64::new(first), Mutex::new(Vec::new()), Instant::now());
    std::thread::scope(|scope| {
        for thread in 0..THREADS.min(usize::try_from(count).unwrap()) {
            let (next, failures) = (&next, &failures);
            scope.spawn(move || run_seeds(thread, next, first + count, aloud, failures));
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{count} seeds from {first} in {:.0?}, {} failed", began.elapsed(), failures.len());
    report(&failures, aloud);
    assert!(failures.is_empty(), "{} of {count} seeds broke a promise", failures.len());
}

fn run_seeds(thread: usize, next: &AtomicU64, end: u64, aloud: bool, failures: &Mutex<Vec<Failure>>) {
    let _ear = tracing::subscriber::set_default(Ear);
    let mut thread = Thread::start(thread);
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        let (broken, story) = thread.run(seed, aloud);
        if !broken.is_empty() {
            failures.lock().unwrap().push(Failure { seed, broken, story });
        }
    }
    thread.end();
}

/// All that broke, and the story of the first.
fn report(failures: &[Failure], was_told: bool) {
    if let Some(Failure { story, .. }) = failures.first().filter(|_| !was_told) {
        let lines = story.lines();
        for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
            println!("  {line}");
        }
    }
    for Failure { seed, broken, .. } in failures {
        println!("SEED={seed}: {}", broken.join("; "));
    }
    if let Some(Failure { seed, .. }) = failures.first() {
        println!("replay with: cargo xtask chaos --seed {seed}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    let _ear = tracing::subscriber::set_default(Ear);
    let mut thread = Thread::start(THREADS);
    let [first, second] = [0, 1].map(|_| thread.run(7, false).1.lines());
    thread.end();
    let differ = first.iter().zip(&second).position(|(a, b)| a != b);
    assert_eq!(differ.map(|line| (line, &first[line], &second[line])), None);
    assert_eq!(first.len(), second.len());
}
